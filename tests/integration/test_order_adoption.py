"""Orders from before they had events get streams, while the release before and this one serve side by side (S2)."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from alembic import command
from psycopg_pool import AsyncConnectionPool

from kompensa_common.sessions import Session
from kompensa_dev.postgres import Login
from kompensa_participant import Pool
from kompensa_participant.migrations import config, migrate
from orders.adapters import adoption
from orders.app import service
from tests.integration.conftest_participants import Participant, serve
from tests.integration.orders_desk import MOUSE, copy_products, next_step, order, slug
from tests.support.waiting import until

BEFORE = "0004"
MANY = 350
ANA = str(uuid.UUID(int=7))
without_background = dataclasses.replace(service, background=())
SETTINGS = "-c search_path=orders -c statement_timeout=5s -c lock_timeout=3s"
STATUSES_OF_STREAMS = """
SELECT o.id, o.status, o.stream_status, array_agg(e.event_type ORDER BY e.aggregate_version) AS types
  FROM orders.orders o LEFT JOIN orders.events e ON e.aggregate_type = 'Order' AND e.aggregate_id = o.id
 GROUP BY o.id
"""
TYPES = {
    "pending": ["ORDER_CREATED"],
    "confirmed": ["ORDER_CREATED", "PAYMENT_PROCESSED"],
    "cancelled": ["ORDER_CREATED", "ORDER_CANCELLED"],
    "shipped": ["ORDER_CREATED", "PAYMENT_PROCESSED", "ORDER_SHIPPED"],
}


@dataclass
class ReleaseBefore:
    """The statements by which the release before creates, confirms and cancels orders, on a connection like its own."""

    connection: psycopg.AsyncConnection[Any]
    done: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    async def create(self) -> uuid.UUID:
        order_id = uuid.uuid4()
        async with self.connection.transaction():
            await self.connection.execute(
                "INSERT INTO orders (id, saga_id, customer_id, total_amount, status)"
                " VALUES (%s, %s, %s, 59.98, 'pending')",
                (order_id, uuid.uuid4(), ANA),
            )
            await self.connection.execute(
                "INSERT INTO order_items (order_id, position, catalog_product_id, product_name, quantity, unit_price)"
                " VALUES (%s, 1, %s, 'Mouse', 2, 29.99)",
                (order_id, MOUSE),
            )
        return order_id

    async def move(self, order_id: uuid.UUID, status: str) -> None:
        cursor = await self.connection.execute(
            "UPDATE orders SET status = %s, updated_at = now() WHERE id = %s AND status = 'pending'", (status, order_id)
        )
        assert cursor.rowcount == 1

    async def serve(self) -> None:
        """Orders of every fate until stopped. An error ends the test."""
        while not self.stopped.is_set():
            for status in ("pending", "confirmed", "cancelled"):
                order_id = await self.create()
                if status != "pending":
                    await self.move(order_id, status)
                self.done += 1


@pytest.fixture
def populated(database: Login) -> Login:
    """A database of the release before, with many orders of all statuses."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA orders")
        command.upgrade(config("orders", url=database.url, schema="orders"), BEFORE)
        connection.execute("SET search_path = orders")
        connection.execute(
            "INSERT INTO customers (id, email, document, full_name, shipping_address, billing_address, payment_methods)"
            " VALUES (%s, 'ana@example.com', '1', 'Ana', '{}', '{}', '[]')",
            (ANA,),
        )
        connection.execute(
            "INSERT INTO orders (id, saga_id, customer_id, total_amount, status, created_at, updated_at)"
            " SELECT gen_random_uuid(), gen_random_uuid(), %s, 59.98,"
            " (ARRAY['pending', 'confirmed', 'cancelled'])[1 + n %% 3], '2026-01-01Z', '2026-01-02Z'"
            " FROM generate_series(1, %s) n",
            (ANA, MANY),
        )
        connection.execute(
            "INSERT INTO order_items SELECT id, 1, %s, 'Mouse', 2, 29.99 FROM orders",
            (MOUSE,),
        )
    return database


@pytest.fixture
async def before(populated: Login) -> AsyncIterator[ReleaseBefore]:
    connection = await psycopg.AsyncConnection.connect(populated.url, options=SETTINGS, autocommit=True)
    async with connection:
        yield ReleaseBefore(connection)


def incomplete(orders: Participant) -> int:
    found: int = orders.value("SELECT count(*) FROM orders.orders WHERE stream_status IS DISTINCT FROM status")
    return found


def one_of(orders: Participant, status: str) -> str:
    return str(orders.rows("SELECT id FROM orders.orders WHERE status = %s LIMIT 1", status)[0]["id"])


async def types_of(orders: Participant, order_id: object) -> list[str]:
    return [event["eventType"] for event in (await orders.client.get(f"/orders/{order_id}/events")).json()]


@contextmanager
def quick_searches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(adoption, "LOOK_AGAIN_SECONDS", 0.05)
        patch.setattr(adoption, "BATCH", 50)
        yield


async def test_an_upgrade_under_traffic_of_both_releases_fails_no_request_and_leaves_a_stream_for_each_order(
    before: ReleaseBefore, populated: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = asyncio.create_task(before.serve())
    await until(_at_least(before, 6), "traffic of the release before")
    with quick_searches(monkeypatch):
        async with _migrated_and_served(populated) as orders:
            upgraded = before.done
            copy_products(orders)
            for n in range(10):
                await _place_and_ship(orders, ship=n % 2 == 0)
                assert not old.done(), old.exception()
            await until(_at_least(before, upgraded + 6), "traffic of the release before, after the migration")
            before.stopped.set()
            await old

            async def all_adopted() -> bool:
                return not await asyncio.to_thread(incomplete, orders)

            await until(all_adopted, "each order to have a stream", seconds=60)
            found = orders.rows(STATUSES_OF_STREAMS)
    assert len(found) == MANY + before.done + 10
    assert [row for row in found if row["types"] != TYPES[row["status"]]] == []


async def test_a_command_adopts_the_order_that_it_meets(before: ReleaseBefore, populated: Login) -> None:
    async with serve(without_background, populated) as orders:
        order_id = one_of(orders, "confirmed")
        shipped = await orders.client.post(f"/orders/{order_id}/ship", json={"trackingNumber": "BR-1"})
        assert shipped.json()["status"] == "shipped"
        created, paid, _ = (await orders.client.get(f"/orders/{order_id}/events")).json()
        assert (created["actor"], created["occurredAt"][:10]) == ("orders", "2026-01-01")
        assert (paid["occurredAt"][:10], paid["eventData"]["paymentId"]) == ("2026-01-02", None)
        assert created["eventData"]["items"][0]["name"] == "Mouse"
        assert incomplete(orders) == MANY - 1


async def test_reading_the_past_of_an_order_adopts_it(before: ReleaseBefore, populated: Login) -> None:
    async with serve(without_background, populated) as orders:
        cancelled = one_of(orders, "cancelled")
        at = {"at": "2026-01-01T12:00:00Z"}
        assert (await orders.client.get(f"/orders/{cancelled}", params=at)).json()["status"] == "pending"
        assert await types_of(orders, cancelled) == TYPES["cancelled"]


async def test_what_the_release_before_changes_after_the_stream_began_is_added(
    before: ReleaseBefore, populated: Login
) -> None:
    async with serve(without_background, populated) as orders:
        copy_products(orders)
        saga = orders.saga("create-order")
        order_id = (await saga.action("/orders", order(ANA))).json()["orderId"]
        await before.move(uuid.UUID(order_id), "confirmed")
        body = {"orderId": order_id}
        again = await next_step(saga, "confirm-order").action("/orders/confirm", body)
        assert slug(again) == (409, "order-not-pending")
        assert (await saga.compensation("/orders/cancel")).status_code == 409
        assert await types_of(orders, order_id) == TYPES["confirmed"]


async def test_adoption_that_is_cut_off_goes_on_with_the_orders_that_are_left(
    before: ReleaseBefore, populated: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick_searches(monkeypatch):
        async with serve(without_background, populated) as orders, _pool(populated) as pool:
            assert len(await adoption.adopt_batch(pool)) == 50
        assert incomplete(orders) == MANY - 50
        async with _pool(populated) as pool:
            await asyncio.gather(*(_adopt_until_none_is_left(pool) for _ in range(2)))
        assert incomplete(orders) == 0
        assert orders.value("SELECT count(*) FROM orders.events WHERE event_type = 'ORDER_CREATED'") == MANY


async def test_an_order_that_cannot_be_adopted_delays_no_other(
    before: ReleaseBefore, populated: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quick_searches(monkeypatch):
        async with serve(without_background, populated) as orders, _pool(populated) as pool:
            with psycopg.connect(populated.url) as connection:
                connection.execute(
                    "DELETE FROM orders.order_items WHERE order_id = (SELECT min(id::text)::uuid FROM orders.orders)"
                )
            await _adopt_until_none_is_left(pool)
            assert incomplete(orders) == 1


async def _place_and_ship(orders: Participant, *, ship: bool) -> None:
    saga = orders.saga("create-order")
    created = await saga.action("/orders", order(ANA))
    assert created.status_code == 201, created.text
    body = {"orderId": created.json()["orderId"], "paymentId": str(uuid.uuid4())}
    confirmed = await next_step(saga, "confirm-order").action("/orders/confirm", body)
    assert confirmed.status_code == 200, confirmed.text
    if ship:
        path = f"/orders/{body['orderId']}/ship"
        assert (await orders.client.post(path, json={"trackingNumber": "BR-1"})).status_code == 200


def _at_least(before: ReleaseBefore, orders: int) -> Callable[[], Awaitable[bool]]:
    async def reached() -> bool:
        return before.done >= orders

    return reached


@asynccontextmanager
async def _migrated_and_served(login: Login) -> AsyncIterator[Participant]:
    """Migrate in a thread, as the job of a chart does, so that traffic goes on meanwhile."""
    await asyncio.to_thread(migrate, "orders", url=login.url, schema="orders")
    async with serve(service, login) as orders:
        yield orders


@asynccontextmanager
async def _pool(login: Login) -> AsyncIterator[Pool]:
    arguments = {"options": SETTINGS, "autocommit": True}
    async with AsyncConnectionPool(login.url, connection_class=Session, open=False, kwargs=arguments) as pool:
        yield pool


async def _adopt_until_none_is_left(pool: Pool) -> None:
    after = None
    while adopted := await adoption.adopt_batch(pool, after=after):
        after = adopted[-1]
