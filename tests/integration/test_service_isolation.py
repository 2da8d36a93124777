"""No service can touch another's data: read from the catalog, and tried with real logins (S1, S8-S13, S26)."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
import pytest

from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.shop import PUBLISHERS
from kompensa_participant.migrations import migrate
from kompensa_participant.revisions import revisions
from kompensa_participant.settings import Settings
from tests.support.services import SERVICES

CROSSING_KEYS = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint c
  JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid
 WHERE contype = 'f' AND a.relnamespace <> b.relnamespace
"""
VIEWS = "SELECT schemaname, viewname FROM pg_views WHERE schemaname = ANY(%s)"
FOREIGN_GRANTS = """
SELECT table_schema, table_name, grantee, privilege_type FROM information_schema.table_privileges
 WHERE table_schema = ANY(%s) AND grantee NOT IN (table_schema)
"""
COLUMNS = """
SELECT table_schema, table_name, column_name, data_type, numeric_precision, numeric_scale
  FROM information_schema.columns WHERE table_schema = ANY(%s)
"""
SOFT_REFERENCES = {
    "inventory": {
        "stock": {"catalog_product_id"},
        "reservation_items": {"catalog_product_id"},
        "products": {"catalog_product_id"},
    },
    "payments": {"payments": {"orders_customer_id"}, "customers": {"orders_customer_id"}},
    "orders": {
        "order_items": {"catalog_product_id"},
        "product_revenue": {"catalog_product_id"},
        "prices": {"catalog_product_id"},
        "products": {"catalog_product_id"},
    },
    "invoices": {
        "customers": {"orders_customer_id"},
        "invoices": {"orders_customer_id", "orders_order_id"},
        "invoice_items": {"catalog_product_id"},
    },
    "shipping": {
        "customers": {"orders_customer_id"},
        "orders": {"orders_order_id"},
        "shipments": {"orders_order_id"},
    },
}


@dataclass(frozen=True)
class SharedInstance:
    """All services in one database, a schema and a role each: the isolation mode in which most could go wrong."""

    admin: Login
    logins: Mapping[str, Login]
    captures: Mapping[str, Login]


@pytest.fixture(scope="module")
def shared(postgres: PostgresServer) -> Iterator[SharedInstance]:
    database = postgres.create_database(f"shop_{secrets.token_hex(4)}")
    logins = {name: postgres.create_schema(database.database, name) for name in SERVICES}
    captures = {name: postgres.create_capture_role(database.database, name=f"{name}_capture") for name in PUBLISHERS}
    for name, login in logins.items():
        migrate(name, url=login.url, schema=name, capture_role=captures[name].username if name in captures else None)
    yield SharedInstance(postgres.admin_of(database.database), logins, captures)
    roles = (*SERVICES, *(capture.username for capture in captures.values()), database.username)
    postgres.drop_database(database.database, roles=roles)


def ask(login: Login, query: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(login.url) as connection:
        return connection.execute(query.encode(), values).fetchall()


def tables_of(shared: SharedInstance, service: str) -> list[str]:
    found = ask(shared.admin, "SELECT tablename FROM pg_tables WHERE schemaname = %s", service)
    return [str(name) for (name,) in found]


def test_every_service_migrates_in_a_schema_of_its_own(shared: SharedInstance) -> None:
    for name, login in shared.logins.items():
        assert ask(login, f"SELECT version_num FROM {name}.alembic_version") == [(revisions(name)[-1],)]
    assert ask(shared.admin, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []


@pytest.mark.parametrize("reader", SERVICES)
def test_a_role_is_denied_every_table_of_every_other_service(shared: SharedInstance, reader: str) -> None:
    for owner in set(SERVICES) - {reader}:
        for table in tables_of(shared, owner):
            for statement in (
                f"SELECT * FROM {owner}.{table}",
                f"DELETE FROM {owner}.{table}",
                f"CREATE VIEW {reader}.peek AS SELECT * FROM {owner}.{table}",
                f"CREATE TABLE {owner}.intruder (id int)",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    ask(shared.logins[reader], statement)


def test_no_foreign_key_view_or_grant_crosses_a_service(shared: SharedInstance) -> None:
    assert ask(shared.admin, CROSSING_KEYS) == []
    assert ask(shared.admin, VIEWS, list(SERVICES)) == []
    grants = ask(shared.admin, FOREIGN_GRANTS, list(SERVICES))
    assert sorted(grants) == sorted(
        (name, table, login.username, "SELECT")
        for name, login in shared.captures.items()
        for table in captured_tables(name)
    )


def captured_tables(publisher: str) -> set[str]:
    """The tables whose rows are messages."""
    return {"outbox", "events"} if publisher == "orders" else {"outbox"}


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_a_capture_role_reads_its_messages_and_nothing_else(shared: SharedInstance, publisher: str) -> None:
    capture = shared.captures[publisher]
    for table in captured_tables(publisher):
        assert ask(capture, f"SELECT count(*) FROM {publisher}.{table}") == [(0,)]
    for owner in SERVICES:
        for table in set(tables_of(shared, owner)) - (captured_tables(publisher) if owner == publisher else set()):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                ask(capture, f"SELECT * FROM {owner}.{table}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(capture, f"DELETE FROM {publisher}.outbox")


def test_local_foreign_keys_stay(shared: SharedInstance) -> None:
    keys = ask(
        shared.admin,
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'",
    )
    assert ("orders.orders", "orders.customers") in keys
    assert ("invoices.invoices", "invoices.customers") in keys


def test_soft_references_are_named_by_their_origin_and_bear_no_constraint(shared: SharedInstance) -> None:
    columns = {(schema, table, column) for schema, table, column, *_ in ask(shared.admin, COLUMNS, list(SERVICES))}
    for schema, tables in SOFT_REFERENCES.items():
        for table, names in tables.items():
            assert {(schema, table, name) for name in names} <= columns
    bare = {"product_id", "order_id"}  # in a service that owns no such thing, a name without its origin (F10)
    of_orders = {(schema, column) for schema, _, column in columns if column in bare}
    assert of_orders == {("orders", "order_id")}
    ask(
        shared.logins["shipping"],
        "INSERT INTO shipping.customers (orders_customer_id, email, full_name, phone, shipping_address,"
        " source_version, synced_at) VALUES (gen_random_uuid(), '', '', '', '{}', 1, now()) RETURNING id",
    )


def test_money_is_exact_and_time_has_a_zone_in_every_table(shared: SharedInstance) -> None:
    columns = ask(shared.admin, COLUMNS, list(SERVICES))
    money = [row for row in columns if str(row[2]).endswith(("amount", "price", "balance", "captured", "refunded"))]
    assert len(money) >= 9
    assert {row[3:] for row in money} == {("numeric", 12, 2)}
    assert not {row[:3] for row in columns if row[3] in ("timestamp without time zone", "real", "double precision")}


def test_a_service_is_described_whether_or_not_its_database_is_there() -> None:
    for name in SERVICES:
        app = importlib.import_module(f"{name}.app").service.app(Settings(database_url="postgresql://nowhere"))
        described = app.openapi()
        assert described["info"]["title"] == name.capitalize()
        assert {"/healthz", "/readyz"} <= described["paths"].keys()
