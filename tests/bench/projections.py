"""Projections of the event store on a real PostgreSQL with default durability: rebuild rate, and append to visible.

    .venv/bin/python -m tests.bench.projections [--events 200000] [--rounds 3] [--seconds 30] [--rate 100]

The rebuild applies the events of many orders, five each, in one process. First it fills a table with one row for each
order, then a table of revenue, in which many events change one row. Making the events is not timed.

The delay is from the return of the append to the first read that returns the row. One process has six writers, the
runner and the readers, so they also wait for each other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import time
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import uvloop

from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run
from kompensa_eventstore import EventStore, Feed, NewEvent, StoredEvent, events_table
from kompensa_eventstore.projections import Projection, ProjectionRunner, Rows, Table, projections_table, rebuild

ORDERS = EventStore("Order")
FEED = Feed("shop")
WRITERS = 6
OPEN = 1_000
"""Orders that are under way at the same time. In the order of events, as many others lie between two of one order."""
PRODUCTS = [str(UUID(int=number)) for number in range(50)]
TABLES = """
    CREATE TABLE order_rows (
        order_id uuid PRIMARY KEY, customer_id uuid NOT NULL, total_amount numeric(12, 2) NOT NULL,
        status text NOT NULL, version bigint NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
    );
    CREATE INDEX ON order_rows (customer_id, created_at, order_id);
    CREATE INDEX ON order_rows (status, created_at, order_id);
    CREATE TABLE revenue (
        product_id uuid, day date, quantity bigint NOT NULL, amount numeric(14, 2) NOT NULL,
        PRIMARY KEY (product_id, day)
    );
"""
LATER = ("PAYMENT_PROCESSED", "ORDER_SHIPPED", "ORDER_DELIVERED", "NOTED")


def order_rows() -> Projection:
    """One row for each order."""
    projection = Projection(
        "order_rows",
        Table(
            name="order_rows",
            key=("order_id",),
            key_of=lambda event: {"order_id": event.stream.aggregate_id},
            created_by=["ORDER_CREATED"],
        ),
    )

    @projection.on("ORDER_CREATED")
    async def created(rows: Rows, event: StoredEvent) -> None:
        rows.put(
            "order_rows",
            {
                "order_id": event.stream.aggregate_id,
                "customer_id": event.data["customerId"],
                "total_amount": event.data["totalAmount"],
                "status": "pending",
                "version": event.version,
                "created_at": event.occurred_at,
                "updated_at": event.occurred_at,
            },
        )

    @projection.on(*LATER)
    async def changed(rows: Rows, event: StoredEvent) -> None:
        row = await rows.get("order_rows", order_id=event.stream.aggregate_id)
        assert row is not None
        rows.put("order_rows", {**row, "status": event.type, "version": event.version, "updated_at": event.occurred_at})

    return projection


def revenue() -> Projection:
    """One row for each product and day."""
    projection = Projection("revenue", Table(name="revenue", key=("product_id", "day")))

    @projection.on("ORDER_CREATED")
    async def created(rows: Rows, event: StoredEvent) -> None:
        for item in event.data["items"]:
            key = {"product_id": item["productId"], "day": event.occurred_at.date()}
            row = await rows.get("revenue", **key) or {**key, "quantity": 0, "amount": Decimal(0)}
            amount = row["amount"] + Decimal(item["price"]) * item["quantity"]
            rows.put("revenue", {**row, "quantity": row["quantity"] + item["quantity"], "amount": amount})

    return projection


async def connected(login: Login) -> psycopg.AsyncConnection[Any]:
    connection = await psycopg.AsyncConnection.connect(login.url, autocommit=True)
    await connection.execute("SET search_path TO shop")
    return connection


def created(nth: int) -> NewEvent:
    items = [{"productId": PRODUCTS[(nth + more) % len(PRODUCTS)], "quantity": 1, "price": "29.99"} for more in (0, 7)]
    return NewEvent(type="ORDER_CREATED", data={"customerId": str(uuid4()), "items": items, "totalAmount": "59.98"})


async def filled(login: Login, count: int) -> None:
    async with await connected(login) as connection:
        for begin in range(0, count // 5, OPEN):
            streams = [ORDERS.stream(uuid4()) for _ in range(min(OPEN, count // 5 - begin))]
            for version, type_ in enumerate(("ORDER_CREATED", *LATER)):
                async with connection.pipeline(), connection.transaction():
                    for nth, stream in enumerate(streams):
                        new = created(nth) if version == 0 else NewEvent(type=type_, data={})
                        await ORDERS.append(connection, stream, [new], expected_version=version)
        await connection.execute("ANALYZE events")


async def rebuilding(login: Login, projection: Projection) -> float:
    """Events a second."""
    begin = time.perf_counter()
    done = await rebuild(projection, FEED, lambda: connected(login), schema="shop")
    return done / (time.perf_counter() - begin)


async def appending(login: Login, *, rate: float, seconds: float) -> list[float]:
    """Milliseconds from the return of each append to the first read that shows it."""
    delays: list[float] = []

    async def write() -> None:
        async with await connected(login) as connection, await connected(login) as reader:
            until = time.perf_counter() + seconds
            nth = 0
            while (begin := time.perf_counter()) < until:
                stream = ORDERS.stream(uuid4())
                await ORDERS.append(connection, stream, [created(nth)], expected_version=0)
                nth += 1
                appended = time.perf_counter()
                await until_visible(reader, stream.aggregate_id)
                delays.append(1000 * (time.perf_counter() - appended))
                await asyncio.sleep(max(0.0, begin + WRITERS / rate - time.perf_counter()))

    runner = asyncio.create_task(ProjectionRunner(order_rows(), FEED, lambda: connected(login), schema="shop").run())
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    runner.cancel()
    with suppress(asyncio.CancelledError):
        await runner
    return sorted(delays)


async def until_visible(reader: psycopg.AsyncConnection[Any], order_id: UUID) -> None:
    async def is_visible() -> bool:
        found = await reader.execute("SELECT 1 FROM order_rows WHERE order_id = %s", (order_id,))
        return await found.fetchone() is not None

    while not await is_visible():  # noqa: ASYNC110 - the measured reader asks again and again
        await asyncio.sleep(0.001)


async def measured(server: PostgresServer, options: argparse.Namespace) -> None:
    login = server.create_database("shop")
    async with await connected(login) as connection:
        await connection.execute("CREATE SCHEMA shop")
        await connection.execute(events_table() + projections_table() + ";" + TABLES)
    load = os.getloadavg()[0]
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {platform.machine()}, load {load:.1f}")
    await filled(login, options.events)
    for projection in (order_rows(), revenue()):
        rates = [await rebuilding(login, projection) for _ in range(options.rounds)]
        low, middle, high = min(rates), statistics.median(rates), max(rates)
        print(
            f"rebuild {projection.name:<11} of {options.events} events: {low:.0f}, {middle:.0f}, {high:.0f} events/s"
            f" (minimum, median, maximum of {options.rounds})",
            flush=True,
        )
    delays = await appending(login, rate=options.rate, seconds=options.seconds)
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    print(
        f"append to visible, {len(delays) / options.seconds:.0f} events/s for {options.seconds:.0f} s:"
        f" p50 {p50:.1f} ms, p99 {p99:.1f} ms, maximum {delays[-1]:.1f} ms"
    )
    print(f"load at the end {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.projections", description=__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="in the table for the rebuilds")
    parser.add_argument("--rounds", type=int, default=3, help="rebuilds of each projection")
    parser.add_argument("--seconds", type=float, default=30.0, help="of appends")
    parser.add_argument("--rate", type=float, default=100.0, help="appends a second")
    options = parser.parse_args()
    with Run.open() as run:
        uvloop.run(measured(PostgresServer(run), options))


if __name__ == "__main__":
    main()
