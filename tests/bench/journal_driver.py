"""The cost of the journal's commit by driver: asyncpg, psycopg 3, and psycopg 3 with two batches in its pipeline.

    .venv/bin/python -m tests.bench.journal_driver [--rounds 5] [--seconds 2]

The product's own writer runs its own statement on a real PostgreSQL with default durability; only the connection that
it is lent differs. A batch of one is by turns a saga's first write and its last; a larger one is half and half, as it
is under load. The client's processor time counts most: the engine's one core is what a busy engine runs out of.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import repeat
from typing import Any, NamedTuple

import psycopg
import uvloop
from psycopg.rows import dict_row

from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.start import StartRequest, born
from kompensa.journal.group_commit import Write
from kompensa.journal.postgres import PostgresJournal
from kompensa.journal.postgres.commit import PostgresWriter
from kompensa.journal.postgres.connections import ConnectionPool
from kompensa.model.definition import Definition
from kompensa.model.events import Replied
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.parsing import compile_definition, parse_definition, parse_participant
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
from tests.bench.advance import NOW, ORDER, REPLY
from tests.bench.local_engine import NAMESPACE, order_of_four

SIZES = (1, 16, 64, 256)
RETENTION = 7 * 86_400.0
DRIVERS = {"asyncpg": 1, "psycopg": 1, "psycopg, pipeline": 2}
"""Names, with how many batches are under way at once."""


class PsycopgConnection:
    """The one method of asyncpg's connection that a first try of a batch needs."""

    def __init__(self, connection: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        self._connection = connection

    async def fetchrow(self, statement: str, *arguments: Any) -> dict[str, Any]:
        async with psycopg.AsyncRawCursor(self._connection) as cursor:
            await cursor.execute(statement.encode(), arguments)
            row: dict[str, Any] | None = await cursor.fetchone()
        assert row is not None, "the statement always answers one row"
        return row


class PsycopgLink(ConnectionPool):
    """Lends the same connection to all: in its pipeline, statements queue by themselves."""

    def __init__(self, connection: psycopg.AsyncConnection[dict[str, Any]]) -> None:
        super().__init__("", application="bench")
        self._connection = PsycopgConnection(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        yield self._connection


class Cost(NamedTuple):
    """Of one batch, in microseconds."""

    wall: float
    client: float


async def link(driver: str, url: str, stack: AsyncExitStack) -> ConnectionPool:
    """A connected link that ends with the stack."""
    if driver == "asyncpg":
        made = ConnectionPool(url, application="bench")
        stack.push_async_callback(made.close)
        return made
    connection: psycopg.AsyncConnection[dict[str, Any]] = await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        prepare_threshold=0,
        options="-c search_path=kompensa -c plan_cache_mode=force_generic_plan -c jit=off",
    )
    await stack.enter_async_context(connection)
    if "pipeline" in driver:
        await stack.enter_async_context(connection.pipeline())
    return PsycopgLink(connection)


async def measured(writer: PostgresWriter, batches: list[list[Write]], *, at_once: int, seconds: float) -> Cost:
    """Write the batches in their order until they or the time are used up."""
    waiting = iter(batches)
    done = 0
    began, cpu = time.perf_counter(), time.process_time()

    async def work() -> None:
        nonlocal done
        for batch in waiting:
            missing = await writer.write(batch, repeated=False)
            assert not missing, f"{len(missing)} of {len(batch)} were not written"
            done += 1
            if time.perf_counter() - began > seconds:
                return

    await asyncio.gather(*(work() for _ in repeat(None, at_once)))
    return Cost((time.perf_counter() - began) / done * 1e6, (time.process_time() - cpu) / done * 1e6)


def made(definition: Definition, size: int, count: int) -> list[list[Write]]:
    """Batches as the engine makes them; a saga's last write comes two batches after its first."""
    sagas = [_sagas(definition, max(1, size // 2)) for _ in range(count)]
    firsts: list[list[Write]] = [[running.acceptance(RETENTION) for running in batch] for batch in sagas]
    lasts: list[list[Write]] = [[_ended(running).transition(RETENTION, ()) for running in batch] for batch in sagas]
    if size == 1:
        return [batch for pair in zip(firsts, [[], [], *lasts], strict=False) for batch in pair if batch]
    return [first + last for first, last in zip(firsts, [[], [], *lasts], strict=False)]


def _sagas(definition: Definition, count: int) -> list[RunningSaga]:
    request = StartRequest(definition=definition.name, input=ORDER)
    return [born(request, definition, shard=number % 32, now=NOW)[0] for number in range(count)]


def _ended(running: RunningSaga) -> RunningSaga:
    for step in running.definition.steps:
        event = Replied(step=step.index, direction=Direction.ACTION, attempt=1, outcome=Outcome.SUCCEEDED, reply=REPLY)
        running.advance(event, NOW)
    return running


def four_steps() -> Definition:
    """The shop's order as `engine_alone` runs it."""
    participant = parse_participant({"url": "http://127.0.0.1:1", "idempotency": "Keyed"})
    spec = parse_definition(order_of_four(participant="stub"))
    return compile_definition(namespace=NAMESPACE, name="lazy", spec=spec, participants={"stub": participant})


async def compare(url: str, *, rounds: int, seconds: float) -> None:
    """Print a row for each driver and size; rounds alternate between drivers."""
    journal = PostgresJournal(url)
    await journal.migrate()
    lease = (await journal.leases.join("bench", ttl=3600.0, previous=None)).lease
    definition = four_steps()
    costs: dict[tuple[int, str], list[Cost]] = {}
    async with AsyncExitStack() as stack:
        stack.push_async_callback(journal.close)
        links = {driver: await link(driver, url, stack) for driver in DRIVERS}
        for number in range(rounds + 1):
            for size in SIZES:
                # The first driver finds the server still busy with the previous size.
                for driver in _turned(list(DRIVERS), number):
                    batches = made(definition, size, count=max(40, 1000 // size))
                    cost = await measured(
                        PostgresWriter(links[driver], lease), batches, at_once=DRIVERS[driver], seconds=seconds
                    )
                    if number > 0:  # the first round warms caches and prepares statements
                        costs.setdefault((size, driver), []).append(cost)
    for (size, driver), seen in sorted(costs.items()):
        wall, client = (statistics.median(values) for values in zip(*seen, strict=True))
        print(f"{size:>5} {driver:<18}{wall:>9.0f}{client:>12.0f}{client / size:>12.1f}")


def _turned(names: list[str], by: int) -> list[str]:
    start = by % len(names)
    return names[start:] + names[:start]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="the median of these is shown (5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="at most this long for each row and round (2)")
    options = parser.parse_args()
    with Run.open() as run:
        url = PostgresServer(run).create_database("kompensa").url
        print(f"load {os.getloadavg()[0]:.1f}")
        print(" size driver             wall µs   client µs   a write µs   (wall, client: of one batch)")
        uvloop.run(compare(url, rounds=options.rounds, seconds=options.seconds))


if __name__ == "__main__":
    main()
