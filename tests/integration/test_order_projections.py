"""The projections of orders (S59 to S63, F6): events, names, pages, waiting for a version, a later question."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from alembic import command

from kompensa_dev.postgres import Login, PostgresServer
from kompensa_participant import Service
from kompensa_participant.migrations import config, migrate
from kompensa_participant.projections import Projected
from orders.app import service
from orders.projections import PROJECTIONS
from tests.integration.conftest_participants import Participant, answering, serve
from tests.integration.orders_desk import MOUSE, copy_products, next_step, order, register, slug
from tests.support.shop import ADDRESS
from tests.support.waiting import until

BEFORE = "0005"
READ = ("order_projections", "customer_names", "product_revenue", "alembic_version")


def only(projections: Sequence[Projected]) -> Service:
    """The service with these projections."""
    access = [row for row in service.access if projections or "GET /status" not in row.routes]
    return replace(service, projections=projections, access=access)


async def placed(orders: Participant, customer: str, **changes: Any) -> str:
    reply = await orders.saga("create-order").action("/orders", order(customer, **changes))
    order_id: str = reply.json()["orderId"]
    return order_id


async def paid(orders: Participant, customer: str) -> str:
    saga = orders.saga("create-order")
    order_id: str = (await saga.action("/orders", order(customer))).json()["orderId"]
    body = {"orderId": order_id, "paymentId": str(uuid.uuid4())}
    assert (await next_step(saga, "confirm-order").action("/orders/confirm", body)).status_code == 200
    return order_id


async def projected(orders: Participant, order_id: str, version: int = 0) -> dict[str, Any]:
    """The order at this version or a later one. A busy machine may need more than the two seconds of one request."""

    async def found() -> dict[str, Any] | None:
        reply = await orders.client.get(f"/order-projections/{order_id}", params={"minVersion": version})
        assert reply.status_code in (200, 504), reply.text
        order: dict[str, Any] = reply.json()
        return order if reply.status_code == 200 else None

    projection: dict[str, Any] = await until(found, f"version {version}", seconds=60)
    return projection


async def page(orders: Participant, **asked: Any) -> tuple[list[str], str | None]:
    reply = await orders.client.get("/order-projections", params=asked)
    assert reply.status_code == 200, reply.text
    found = reply.json()
    return [each["orderId"] for each in found["orders"]], found["next"]


async def test_the_projection_follows_all_five_events(orders: Participant, ana: str) -> None:
    order_id = await paid(orders, ana)
    found = await projected(orders, order_id, 2)
    assert (found["status"], found["version"], found["itemCount"]) == ("paid", 2, 2)
    assert (found["customerId"], found["customerName"], found["totalAmount"]) == (ana, "Ana Souza", "209.97")
    shipped = await orders.client.post(f"/orders/{order_id}/ship", json={"trackingNumber": "BR-1"})
    assert shipped.headers["ETag"] == '"3"'
    assert (await projected(orders, order_id, 3))["status"] == "shipped"
    assert (await orders.client.post(f"/orders/{order_id}/deliver")).headers["ETag"] == '"4"'
    delivered = await projected(orders, order_id, 4)
    assert delivered["status"] == "delivered"
    events = (await orders.client.get(f"/orders/{order_id}/events")).json()
    assert delivered["createdAt"] == events[0]["occurredAt"]
    assert delivered["lastUpdatedAt"] == events[-1]["occurredAt"]
    saga = orders.saga("create-order")
    undone = (await saga.action("/orders", order(ana))).json()["orderId"]
    assert (await projected(orders, undone, 1))["status"] == "pending"
    await saga.compensation("/orders/cancel")
    assert (await projected(orders, undone, 2))["status"] == "cancelled"


async def test_a_name_follows_its_customer_and_is_gone_with_them(orders: Participant, ana: str) -> None:
    order_id = await placed(orders, ana)
    assert (await projected(orders, order_id, 1))["customerName"] == "Ana Souza"
    form = {
        "email": "ana@example.com",
        "document": "12345678901",
        "fullName": "Ana Lima",
        "shippingAddress": ADDRESS,
        "billingAddress": ADDRESS,
    }
    assert (await orders.client.put(f"/customers/{ana}", json=form)).status_code == 200

    async def name() -> Any:
        return (await projected(orders, order_id))["customerName"]

    async def has_new_name() -> bool:
        return bool(await name() == "Ana Lima")

    await until(has_new_name, "the new name")
    assert (await orders.client.delete(f"/customers/{ana}")).status_code == 204

    async def has_no_name() -> bool:
        return await name() is None

    await until(has_no_name, "the name to go")
    stored = orders.value("SELECT string_agg(c::text, '') FROM orders.customer_changes c")
    assert "Ana" not in stored
    assert "Ana" not in str(orders.rows("SELECT * FROM orders.customer_names"))


async def test_names_of_customers_from_before_the_upgrade_are_there(database: Login) -> None:
    migrate(service.name, url=database.url, schema=service.name)  # makes the schema, too
    alembic = config("orders", url=database.url, schema="orders")
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA orders CASCADE; CREATE SCHEMA orders")
        command.upgrade(alembic, BEFORE)
        connection.execute(
            "INSERT INTO orders.customers (id, email, document, full_name, shipping_address, billing_address,"
            " payment_methods) VALUES (gen_random_uuid(), 'ana@example.com', '1', 'Ana Souza', '{}', '{}', '[]')"
        )
    async with serve(service, database) as orders:

        def names() -> Any:
            return orders.rows("SELECT customer_name FROM orders.customer_names")

        await until(lambda: names() == [{"customer_name": "Ana Souza"}], "the name")
        assert orders.value("SELECT aggregate_version FROM orders.customer_changes") == 1
        with psycopg.connect(database.url, autocommit=True) as connection:  # as pods of the release before do it
            connection.execute("UPDATE orders.customers SET phone = '1'")
            connection.execute("UPDATE orders.customers SET full_name = 'Ana Lima'")
        await until(lambda: names() == [{"customer_name": "Ana Lima"}], "the new name")
        assert orders.value("SELECT max(aggregate_version) FROM orders.customer_changes") == 2


async def test_pages_are_newest_first_and_miss_and_repeat_nothing(orders: Participant, ana: str) -> None:
    ids = [await placed(orders, ana) for _ in range(5)]
    await projected(orders, ids[-1], 1)
    with psycopg.connect(orders.login.url, autocommit=True) as connection:  # two orders of one microsecond
        connection.execute(
            "UPDATE orders.order_projections SET created_at = (SELECT min(created_at) FROM orders.order_projections)"
            " WHERE order_id = %s",
            (ids[1],),
        )
    everything, none = await page(orders, customerId=ana)
    assert none is None
    assert set(everything[:3]) == set(ids[2:])
    assert everything[:3] == ids[:1:-1]
    found: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        some, cursor = await page(orders, customerId=ana, limit=2, **({"cursor": cursor} if cursor else {}))
        found += some
    assert found == everything
    assert cursor is None
    assert await page(orders, status="pending") == (everything, None)
    assert await page(orders, status="paid") == ([], None)
    assert await page(orders, customerId=str(uuid.uuid4())) == ([], None)


async def test_a_page_needs_one_filter_and_a_cursor_of_ours(orders: Participant, ana: str) -> None:
    for asked, expected in (
        ({}, "filter-needed"),
        ({"customerId": ana, "status": "paid"}, "filter-needed"),
        ({"customerId": ana, "cursor": "yesterday"}, "cursor-invalid"),
        ({"status": "confirmed"}, "request-invalid"),
    ):
        assert slug(await orders.client.get("/order-projections", params=asked)) == (422, expected)


async def test_a_version_that_does_not_come_is_a_clear_answer(orders: Participant, ana: str) -> None:
    order_id = await placed(orders, ana)
    await projected(orders, order_id, 1)
    late = await orders.client.get(f"/order-projections/{order_id}", params={"minVersion": 9})
    assert slug(late) == (504, "projection-behind")
    assert "found 1" in late.json()["detail"]
    unknown = await orders.client.get(f"/order-projections/{uuid.uuid4()}")
    assert slug(unknown) == (404, "unknown-order")


async def test_revenue_was_added_later_and_knows_the_orders_from_before(database: Login) -> None:
    """S56: a new question is answered from events that were written before it was asked."""
    async with serve(only(PROJECTIONS[:2]), database) as before:
        copy_products(before)
        ana = await register(before)
        for _ in range(2):
            await paid(before, ana)
        await placed(before, ana)  # not paid
    async with answering(service, database) as orders:
        await paid(orders, ana)

        async def revenue() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await orders.client.get(f"/product-revenue/{MOUSE}")).json()
            return found

        async def is_complete() -> bool:
            return bool(sum(day["quantity"] for day in await revenue()) == 6)

        await until(is_complete, "old and new payments")
        assert sum(float(day["revenue"]) for day in await revenue()) == pytest.approx(6 * 29.99)
        assert {day["productName"] for day in await revenue()} == {"Mouse"}


@pytest.fixture
def reading(postgres: PostgresServer, orders: Participant) -> Iterator[Login]:
    """A role that may read the projections, and no other table of the service."""
    name = f"reading_{secrets.token_hex(4)}"
    login = postgres.create_serving_role(orders.login.database, name=name)
    with psycopg.connect(orders.login.url, autocommit=True) as owner:
        owner.execute(f"GRANT USAGE ON SCHEMA orders TO {name}".encode())
        for table in READ:
            owner.execute(f"GRANT SELECT ON orders.{table} TO {name}".encode())
    yield login
    with psycopg.connect(postgres.admin_of(orders.login.database).url, autocommit=True) as admin:
        admin.execute(f"DROP OWNED BY {name}; DROP ROLE {name}".encode())


@pytest.fixture
async def reader(orders: Participant, reading: Login) -> AsyncIterator[Participant]:
    async with answering(replace(only([]), background=[]), reading) as participant:
        yield participant


async def test_reads_touch_projections_only(orders: Participant, ana: str, reader: Participant) -> None:
    """S63: all queries work for a role without any right on events, orders and customers."""
    order_id = await paid(orders, ana)
    await projected(orders, order_id, 2)
    assert (await projected(reader, order_id, 2))["customerName"] == "Ana Souza"
    assert await page(reader, customerId=ana) == ([order_id], None)
    assert await page(reader, status="paid") == ([order_id], None)
    assert (await reader.client.get(f"/product-revenue/{MOUSE}")).status_code == 200
    for table in ("events", "orders", "customers", "customer_changes"):
        with psycopg.connect(reader.login.url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT FROM orders.{table}".encode())


async def test_status_and_metrics_show_position_lag_and_failure(orders: Participant, ana: str) -> None:
    order_id = await paid(orders, ana)
    await projected(orders, order_id, 2)

    async def states() -> dict[str, dict[str, Any]]:
        found = (await orders.client.get("/status")).json()
        return {each["name"]: each for each in found["projections"]}

    async def has_failed() -> bool:
        return bool((await states())["order_projections"]["failure"])

    assert not await has_failed()
    with psycopg.connect(orders.login.url, autocommit=True) as connection:
        connection.execute("UPDATE orders.order_projections SET version = 1")  # as if version 2 were still to come
    await orders.client.post(f"/orders/{order_id}/ship", json={"trackingNumber": "BR-1"})
    await until(has_failed, "the failure")
    found = await states()
    failure = found["order_projections"]["failure"]
    assert (failure["type"], failure["version"], failure["stream"]) == ("ORDER_SHIPPED", 3, f"Order/{order_id}")
    assert (found["order_projections"]["behind"], found["product_revenue"]["failure"]) == (1, None)
    metrics = (await orders.client.get("/metrics")).text
    assert 'kompensa_projection_failing{projection="order_projections"} 1.0' in metrics
    assert 'kompensa_projection_failing{projection="customer_names"} 0.0' in metrics
    assert 'kompensa_projection_events_behind{projection="order_projections"} 1.0' in metrics
    assert 'kompensa_projection_lag_seconds{projection="order_projections"}' in metrics


async def test_a_command_rebuilds_a_projection_while_the_service_serves(orders: Participant, ana: str) -> None:
    order_id = await paid(orders, ana)
    await projected(orders, order_id, 2)
    with psycopg.connect(orders.login.url, autocommit=True) as connection:
        connection.execute("UPDATE orders.order_projections SET status = 'delivered', item_count = 99")
    lines = run_command(orders, "rebuild", "order_projections", "-o", "json").stdout.splitlines()
    assert json.loads(lines[0])["total"] == 2
    assert json.loads(lines[-1]) | {"seconds": 0} == {
        "projection": "order_projections",
        "done": 2,
        "swapped": True,
        "seconds": 0,
    }
    found = await projected(orders, order_id, 2)
    assert (found["status"], found["itemCount"]) == ("paid", 2)
    await orders.client.post(f"/orders/{order_id}/ship", json={"trackingNumber": "BR-1"})
    assert (await projected(orders, order_id, 3))["status"] == "shipped"
    listed = {each["name"]: each for each in json.loads(run_command(orders, "list", "-o", "json").stdout)}
    assert listed.keys() == {"order_projections", "customer_names", "product_revenue"}
    assert listed["order_projections"]["failure"] is None
    assert "order_projections" in run_command(orders, "list").stdout
    unknown = run_command(orders, "rebuild", "orders", fails=True)
    assert "expected one of order_projections" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def run_command(orders: Participant, *arguments: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "orders", "projections", *arguments],
        env={"DATABASE_URL": orders.login.url, "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done
