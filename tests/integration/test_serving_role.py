"""One role migrates and owns the tables, another serves: it works on rows, and never changes an event (S50)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg
import pytest

from kompensa_dev.postgres import Login, PostgresServer
from kompensa_participant.migrations import RoleMissingError, migrate
from orders.app import service
from tests.integration.conftest_participants import answering, serve
from tests.integration.orders_desk import copy_products, next_step, order, register
from tests.support.services import SERVICES

LEDGERS = {"orders": {"events", "customer_changes"}, "inventory": {"stock_movements"}, "payments": {"entries"}}


@pytest.fixture
def serving(postgres: PostgresServer, database: Login) -> Iterator[Login]:
    """A role that owns nothing in the database."""
    name = f"serving_{secrets.token_hex(4)}"
    yield postgres.create_serving_role(database.database, name=name)
    with psycopg.connect(postgres.admin_of(database.database).url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


async def test_orders_serves_with_a_role_that_owns_nothing(database: Login, serving: Login) -> None:
    async with serve(service, database) as owner:
        copy_products(owner)
    migrate("orders", url=database.url, schema="orders", serving_role=serving.username)
    async with answering(service, serving) as orders:
        saga = orders.saga("create-order")
        created = await saga.action("/orders", order(await register(orders)))
        assert created.status_code == 201, created.text
        body = {"orderId": created.json()["orderId"]}
        assert (await next_step(saga, "confirm-order").action("/orders/confirm", body)).status_code == 200
        shipped = await orders.client.post(f"/orders/{body['orderId']}/ship", json={"trackingNumber": "BR-1"})
        assert shipped.status_code == 200, shipped.text
        assert (await orders.client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("name", SERVICES)
def test_the_serving_role_of_each_service_adds_to_ledgers_and_changes_no_table(
    database: Login, serving: Login, name: str
) -> None:
    for _ in range(2):  # the second time, as an upgrade does it
        migrate(name, url=database.url, schema=name, serving_role=serving.username)
    with psycopg.connect(serving.url, autocommit=True) as connection:
        granted = {
            table: set(rights)
            for table, rights in connection.execute(
                "SELECT table_name::text, array_agg(privilege_type::text) FROM information_schema.table_privileges"
                " WHERE grantee = current_user AND table_schema = %s GROUP BY 1",
                (name,),
            )
        }
        ledgers = LEDGERS.get(name, set())
        assert granted.pop("alembic_version") == {"SELECT"}
        for ledger in ledgers:
            assert granted.pop(ledger) == {"SELECT", "INSERT"}
        assert set(map(frozenset, granted.values())) == {frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})}
        statements = [
            f"CREATE TABLE {name}.more (id int)",
            f"DROP TABLE {name}.operations",
            f"UPDATE {name}.alembic_version SET version_num = '0000'",
        ]
        for table in ledgers or {"alembic_version"}:
            statements += [
                f"ALTER TABLE {name}.{table} DISABLE TRIGGER ALL",
                f"TRUNCATE {name}.{table}",
                f"DELETE FROM {name}.{table}",
            ]
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_a_serving_role_that_does_not_exist_is_named(database: Login) -> None:
    with pytest.raises(RoleMissingError, match="SERVING_ROLE"):
        migrate("shipping", url=database.url, schema="shipping", serving_role="absent")
