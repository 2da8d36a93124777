"""Rebuilds a projection from its first event while the old tables are still in use.

The rebuild fills new tables with the same columns. When they have caught up, they replace the old ones in one
transaction. Readers see the old rows until then and the new rows afterwards. If a rebuild is stopped, the next one
continues it. It runs as the owner of the tables, for example in a Job with the role that migrates.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, errors, sql
from psycopg.rows import tuple_row

from kompensa_common.connection_probe import Connect
from kompensa_eventstore.events import Position
from kompensa_eventstore.feed import Feed
from kompensa_eventstore.poolers import require_own_process
from kompensa_eventstore.projections.bookkeeping import advance, bookkeeping, position
from kompensa_eventstore.projections.projection import Projection
from kompensa_eventstore.projections.rows import TableSet
from kompensa_eventstore.projections.shadow import SUFFIX, ShadowTable
from kompensa_eventstore.projections.turn import take_turn

BATCH = 5_000
SWAP_ATTEMPTS = 30
SWAP_LOCK_TIMEOUT = "1s"
"""While the swap waits for a long query, new readers wait behind it. So it gives up soon, and tries again."""
SWAP_PAUSE_SECONDS = 1.0

Connection = AsyncConnection[Any]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a rebuild.

    Attributes
    ----------
    done
        Events passed, with those of earlier runs that this one continues.
    total
        Events in the table when this run began, or `done` if that is more by now.
    per_second, seconds_left
        The rate of this run, and an estimate from it.
    """

    done: int
    total: int
    per_second: float
    seconds_left: float


class _Clock:
    """Makes reports from the number of events done."""

    def __init__(self, *, done: int, total: int, report: Callable[[Progress], None]) -> None:
        self._before = self._done = done
        self._total = total
        self._report = report
        self._begin = time.monotonic()

    @property
    def of_this_run(self) -> int:
        return self._done - self._before

    def add(self, count: int) -> None:
        self._done += count
        rate = self.of_this_run / ((time.monotonic() - self._begin) or 1)
        total = max(self._total, self._done)
        left = (total - self._done) / rate if rate else 0.0
        self._report(Progress(done=self._done, total=total, per_second=rate, seconds_left=left))


async def rebuild(
    projection: Projection,
    feed: Feed,
    connect: Connect,
    *,
    schema: str,
    batch: int = BATCH,
    fresh: bool = False,
    report: Callable[[Progress], None] = lambda _: None,
) -> int:
    """Rebuild the projection, replace its tables, and return the number of events that this run passed.

    Parameters
    ----------
    connect
        Opens connections in autocommit, directly or through a pooler in session mode, as the owner of the tables.
    fresh
        Begin again, and do not continue an earlier rebuild. Needed if the handlers have changed since then. If the
        columns of a table have changed, a rebuild begins again by itself.
    report
        Called after each batch.

    Raises
    ------
    ProjectionError
        Another object depends on an old table, for example a view. It would stay with the old table.
    TimeoutError
        Queries of readers have kept the old tables locked for a minute. The next rebuild only has to swap.
    """
    async with await connect() as reader, await connect() as writer:
        await require_own_process(writer, connect)
        await take_turn(writer, schema, projection.name + SUFFIX)
        await writer.execute("SET synchronous_commit TO off; SET statement_timeout TO 0")
        rebuilding = _Rebuild(projection, feed, reader, writer, schema=schema, batch=batch)
        after = await rebuilding.prepare(fresh=fresh)
        clock = _Clock(done=await rebuilding.done(), total=await _count(reader, feed.name), report=report)
        after = await rebuilding.fill(after, clock)
        await rebuilding.create_indexes()
        after = await rebuilding.fill(after, clock)
        await rebuilding.swap(after, clock)
        return clock.of_this_run


class _Rebuild:
    """One run of a rebuild. It reads the next page while it writes the rows of the last one."""

    def __init__(
        self,
        projection: Projection,
        feed: Feed,
        reader: Connection,
        writer: Connection,
        *,
        schema: str,
        batch: int,
    ) -> None:
        self._projection = projection
        self._feed = feed
        self._reader = reader
        self._writer = writer
        self._schema = schema
        self._batch = batch
        self._name = projection.name + SUFFIX
        self._shadows = [ShadowTable(writer, schema, table.name) for table in projection.tables]

    async def prepare(self, *, fresh: bool) -> Position:
        """Create the new tables, or continue those of an earlier run. Return the position that they have reached."""
        async with self._writer.transaction():
            for shadow in self._shadows:
                await shadow.check()
            if fresh or not all([await shadow.is_like_old() for shadow in self._shadows]):
                forget = sql.SQL("DELETE FROM {} WHERE name = %s").format(bookkeeping(self._schema))
                await self._writer.execute(forget, (self._name,))
                for shadow in self._shadows:
                    await shadow.create()
            return await position(self._writer, self._schema, self._name, lock=True)

    async def done(self) -> int:
        """The number of events that the new tables have passed."""
        query = sql.SQL("SELECT events FROM {} WHERE name = %s").format(bookkeeping(self._schema))
        async with self._writer.cursor(row_factory=tuple_row) as cursor:
            row = await (await cursor.execute(query, (self._name,))).fetchone()
        return int(row[0]) if row else 0

    async def fill(self, after: Position, clock: _Clock) -> Position:
        """Apply all events after a position that can be read now, and return the position of the last one."""
        tables = await self._tables()
        reading = asyncio.create_task(self._read(after))
        try:
            while (page := await reading).end is not None:
                reading = asyncio.create_task(self._read(page.end))
                await advance(
                    self._writer,
                    self._projection,
                    tables,
                    page.events,
                    after=after,
                    end=page.end,
                    count=page.count,
                    schema=self._schema,
                    name=self._name,
                )
                after = page.end
                clock.add(page.count)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return after

    async def create_indexes(self) -> None:
        for shadow in self._shadows:
            await shadow.create_other_indexes()

    async def swap(self, after: Position, clock: _Clock) -> None:
        """Apply the latest events, and replace the old tables by the new ones, in one transaction.

        First it locks the position of the old tables, as the runner does in each transaction. So the runner waits, then
        sees that the position has changed, and goes on from there with the new tables.
        """
        for _ in range(SWAP_ATTEMPTS):
            try:
                async with self._writer.transaction():
                    await self._writer.execute(f"SET LOCAL lock_timeout TO '{SWAP_LOCK_TIMEOUT}'".encode())
                    await position(self._writer, self._schema, self._projection.name, lock=True)
                    await self.fill(after, clock)
                    for shadow in self._shadows:
                        await shadow.replace_old()
                    await self._take_position()
            except errors.LockNotAvailable:
                await asyncio.sleep(SWAP_PAUSE_SECONDS)
            else:
                return
        raise TimeoutError(
            f"queries hold the tables of projection {self._projection.name}; end them or wait, then rebuild again, "
            "which now takes a moment only"
        )

    async def _read(self, after: Position) -> Any:
        return await self._feed.read(self._reader, after=after, limit=self._batch, named=self._projection.handlers)

    async def _tables(self) -> TableSet:
        projection = self._projection
        return await TableSet.of(
            self._writer, projection.tables, projection.sources, schema=self._schema, suffix=SUFFIX
        )

    async def _take_position(self) -> None:
        """Give the position of the rebuild to the projection, and forget the rebuild."""
        table = bookkeeping(self._schema)
        await self._writer.execute(
            sql.SQL(
                "UPDATE {table} live SET (transaction_id, number, events, advanced_at, failure, failing_since) ="
                " (SELECT transaction_id, number, events, clock_timestamp(), NULL::jsonb, NULL::timestamptz"
                " FROM {table} WHERE name = %s) WHERE live.name = %s"
            ).format(table=table),
            (self._name, self._projection.name),
        )
        await self._writer.execute(sql.SQL("DELETE FROM {} WHERE name = %s").format(table), (self._name,))


async def _count(connection: Connection, events: sql.Identifier) -> int:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        row = await (await cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(events))).fetchone()
    return int(row[0]) if row else 0
