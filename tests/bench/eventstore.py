"""The event store compared with the library `eventsourcing`, on a real PostgreSQL with default durability.

    .venv/bin/python -m tests.bench.eventstore [--seconds 3] [--rounds 3] [--events 100000]

Each append makes a new aggregate of one event, or of ten, in one commit. One writer is one task; eight are eight tasks
of one process for our store, and eight threads of one process for the library, which is how each is meant to be used.
Both run by turns. Missed events are counted by a reader that follows the head while six writers append.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import product
from typing import Any
from uuid import uuid4

import psycopg
import uvloop
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run
from kompensa_eventstore import EventStore, Feed, NewEvent, Position, events_table

ORDERS = EventStore("Order")
DATA = {
    "orderId": "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0001",
    "customerId": "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0002",
    "items": [{"productId": "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0003", "quantity": 2, "price": "29.99"}],
    "totalAmount": "59.98",
}
FEED = Feed("shop")


class Order(Aggregate):
    """The library's aggregate with the same data."""

    @event("Created")
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @event("Noted")
    def note(self, data: dict[str, Any]) -> None:
        self.data = data


async def connected(login: Login) -> psycopg.AsyncConnection[Any]:
    connection = await psycopg.AsyncConnection.connect(login.url, autocommit=True)
    await connection.execute("SET search_path TO shop")
    return connection


async def ours(login: Login, *, writers: int, each: int, seconds: float) -> float:
    """Events a second."""
    deadline = time.perf_counter() + seconds

    async def write() -> int:
        count = 0
        async with await connected(login) as connection:
            while time.perf_counter() < deadline:
                new = [NewEvent(type="ORDER_CREATED", data=DATA) for _ in range(each)]
                await ORDERS.append(connection, ORDERS.stream(uuid4()), new, expected_version=0)
                count += each
        return count

    return sum(await asyncio.gather(*(write() for _ in range(writers)))) / seconds


def library(application: Application[Any], *, writers: int, each: int, seconds: float) -> float:
    """Events a second."""
    deadline = time.perf_counter() + seconds

    def write(_: int) -> int:
        count = 0
        while time.perf_counter() < deadline:
            order = Order(DATA)
            for _ in range(each - 1):
                order.note(DATA)
            application.save(order)
            count += each
        return count

    with ThreadPoolExecutor(writers) as threads:
        return sum(threads.map(write, range(writers))) / seconds


def library_application(login: Login, *, functions: bool) -> Application[Any]:
    return Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": login.database,
            "POSTGRES_HOST": login.host,
            "POSTGRES_PORT": str(login.port),
            "POSTGRES_USER": login.username,
            "POSTGRES_PASSWORD": login.password,
            "POSTGRES_MAX_OVERFLOW": "20",
            "POSTGRES_ENABLE_DB_FUNCTIONS": "y" if functions else "n",
        }
    )


async def filled(login: Login, count: int) -> None:
    """One stream of 1,000 events, and many of ten, `count` events in all."""
    async with await connected(login) as connection:
        news = [NewEvent(type="HAPPENED", data=DATA) for _ in range(1000)]
        await ORDERS.append(connection, LONG, news, expected_version=0)
        for _ in range((count - 1000) // 10):
            ten = [NewEvent(type="HAPPENED", data=DATA) for _ in range(10)]
            await ORDERS.append(connection, ORDERS.stream(uuid4()), ten, expected_version=0)


LONG = ORDERS.stream(uuid4())


async def loading(login: Login) -> float:
    """Milliseconds to load a stream of 1,000 events, the median of twenty."""
    async with await connected(login) as connection:
        times = []
        for _ in range(20):
            begin = time.perf_counter()
            assert len(await ORDERS.read(connection, LONG)) == 1000
            times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


async def reading_all(login: Login) -> tuple[int, float]:
    """Events, and events a second."""
    async with await connected(login) as connection:
        begin, count, after = time.perf_counter(), 0, Position(0, 0)
        while events := (await FEED.read(connection, after=after, limit=1000)).events:
            count, after = count + len(events), events[-1].position
    return count, count / (time.perf_counter() - begin)


async def following(login: Login, *, writers: int, each: int) -> tuple[int, list[float]]:
    """Missed events, and milliseconds from the append's return to the reader, while `writers` append."""
    async with await connected(login) as connection:
        row = await (await connection.execute("SELECT max(transaction_id)::text, max(position) FROM events")).fetchone()
    start = Position(int(row[0]), int(row[1])) if row and row[0] else Position(0, 0)
    written: dict[Any, float] = {}
    seen: dict[Any, float] = {}

    async def write() -> None:
        async with await connected(login) as connection:
            for _ in range(each):
                new = NewEvent(type="HAPPENED", data=DATA)
                await ORDERS.append(connection, ORDERS.stream(uuid4()), [new], expected_version=0)
                written[new.id] = time.perf_counter()
                await asyncio.sleep(0.01 * writers)  # about a hundred events a second in all

    async def read() -> None:
        async for events in FEED.follow(lambda: connected(login), after=start):
            now = time.perf_counter()
            seen.update({event.id: now for event in events})
            if len(seen) >= writers * each:
                return

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write() for _ in range(writers)))
    with suppress(TimeoutError):
        await asyncio.wait_for(reader, 10)
    return len(written.keys() - seen.keys()), [1000 * (seen[id_] - at) for id_, at in written.items() if id_ in seen]


async def by_turns(label: str, measures: dict[str, Callable[[], Awaitable[float]]], rounds: int) -> None:
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(await measure())
    for name, values in found.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"  {label:<12}{name:<38}{low:>8.0f}{middle:>8.0f}{high:>8.0f} events/s", flush=True)


async def measured(server: PostgresServer, seconds: float, rounds: int, count: int) -> None:
    login, plain, quick = (server.create_database(name) for name in ("ours", "plain", "quick"))
    async with await psycopg.AsyncConnection.connect(login.url, autocommit=True) as connection:
        await connection.execute("CREATE SCHEMA shop; SET search_path TO shop")
        await connection.execute(events_table())
    libraries = {
        "eventsourcing": library_application(plain, functions=False),
        "eventsourcing, database functions": library_application(quick, functions=True),
    }
    print(f"append, {seconds:.0f} s, {rounds} rounds by turns, writers x events an append: minimum, median, maximum")
    for writers, each in product((1, 8), (1, 10)):
        load: dict[str, Any] = {"writers": writers, "each": each, "seconds": seconds}
        measures: dict[str, Callable[[], Awaitable[float]]] = {"kompensa-eventstore": partial(ours, login, **load)}
        for name, application in libraries.items():
            measures[name] = partial(asyncio.to_thread, partial(library, application, **load))
        await by_turns(f"{writers} x {each}", measures, rounds)
    await filled(login, count)
    print(f"load a stream of 1,000 events: {await loading(login):.1f} ms (median of 20)")
    total, rate = await reading_all(login)
    print(f"read all: {total} events, {rate:.0f} events/s")
    missed, delays = await following(login, writers=6, each=200)
    delays.sort()
    p50, p99 = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    print(f"six writers, about 100 events/s: missed {missed}; append to reader p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.eventstore", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=100_000, help="in the table for loading and reading")
    options = parser.parse_args()
    with Run.open() as run:
        uvloop.run(measured(PostgresServer(run), options.seconds, options.rounds, options.events))
    os._exit(0)  # the library's threads do not end by themselves


if __name__ == "__main__":
    main()
