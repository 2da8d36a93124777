"""A database with an event table in the schema `shop`, and the projection of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, LiteralString
from uuid import uuid4

import psycopg

from kompensa_eventstore import EventStore, Feed, NewEvent, StoredEvent, events_table
from kompensa_eventstore.projections import Projection, ProjectionRunner, Rows, Table, projections_table

SCHEMA = "shop"
ORDERS = EventStore("Order")
PAID = "SELECT coalesce(sum((payload ->> 'amount')::int), 0) FROM events WHERE event_type = 'PAID'"
SUM = "SELECT coalesce(sum(total), 0) FROM totals"
Connection = psycopg.AsyncConnection[Any]


def event(type_: str = "HAPPENED", /, **data: Any) -> NewEvent:
    return NewEvent(type=type_, data=data)


class Desk:
    """The database, for tests that ask it and for code that connects to it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.feed = Feed(SCHEMA)
        self._questions = psycopg.connect(url, autocommit=True, options="-c search_path=shop")

    async def connect(self, **options: Any) -> Connection:
        connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True, **options)
        await connection.execute("SET search_path TO shop")
        return connection

    @asynccontextmanager
    async def connected(self, **options: Any) -> AsyncIterator[Connection]:
        async with await self.connect(**options) as connection:
            yield connection

    async def all(self) -> list[StoredEvent]:
        async with self.connected() as connection:
            return (await self.feed.read(connection, limit=100_000)).events

    def asked(self, query: LiteralString) -> Any:
        """The one value that a query returns, or None."""
        row = self._questions.execute(query).fetchone()
        return row[0] if row else None

    def close(self) -> None:
        self._questions.close()


@asynccontextmanager
async def prepared(url: str) -> AsyncIterator[Desk]:
    """A database with the tables."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE SCHEMA shop")
        await connection.execute("SET search_path TO shop")
        await connection.execute(events_table())
        await connection.execute(projections_table())
        await connection.execute(
            "CREATE TABLE totals (order_id uuid PRIMARY KEY, total numeric(12, 2) NOT NULL, version bigint NOT NULL)"
        )
    with closing(Desk(url)) as desk:
        yield desk


def totals() -> Projection:
    """Adds up the amounts of each order. It counts what it is given: an event that came twice would show."""
    projection = Projection(
        "totals",
        Table(name="totals", key=("order_id",), key_of=lambda event: {"order_id": event.stream.aggregate_id}),
        aggregates=["Order"],
    )

    @projection.on("PAID")
    async def paid(rows: Rows, event: StoredEvent) -> None:
        order = event.stream.aggregate_id
        row = await rows.get("totals", order_id=order) or {"order_id": order, "total": 0, "version": 0}
        total = row["total"] + int(event.data["amount"])
        rows.put("totals", {**row, "total": total, "version": event.version})

    @projection.on("FORGOTTEN")
    async def forgotten(rows: Rows, event: StoredEvent) -> None:
        rows.delete("totals", order_id=event.stream.aggregate_id)

    @projection.on("BROKEN")
    async def broken(_: Rows, event: StoredEvent) -> None:
        raise RuntimeError(f"no handler could like {event.data['what']}")

    return projection


async def pay(connection: Connection, *, orders: int, times: int, amount: int = 1) -> None:
    """Events for some new orders, in turns."""
    streams = [ORDERS.stream(uuid4()) for _ in range(orders)]
    for nth in range(times):
        for stream in streams:
            await ORDERS.append(connection, stream, [event("PAID", amount=amount)], expected_version=nth)


def is_up(desk: Desk) -> bool:
    """Whether the projection has all amounts, each once."""
    return bool(desk.asked(PAID) == desk.asked(SUM))


@asynccontextmanager
async def running(desk: Desk, projection: Projection, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
    """A runner in this process."""
    connect = options.pop("connect", desk.connect)
    task = asyncio.create_task(ProjectionRunner(projection, desk.feed, connect, schema=SCHEMA, **options).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
