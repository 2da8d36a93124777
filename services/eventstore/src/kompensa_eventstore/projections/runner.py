"""Applies the events of a feed to a projection as they arrive.

**Exactly once.** Rows and position are committed together. So if the runner is killed at any point, no event is lost or
applied twice.

**One at a time.** The runner holds an advisory lock in the session that writes, and other runners wait for it. In each
transaction it also locks and compares the position. This detects a second runner behind a pooler, and allows a rebuild
to replace the tables of a running projection.

**Errors.** If a handler raises, its projection stops at that event; other projections go on. The events before it are
applied. The error is stored in the projection's row, which `status` shows. The event is tried again after a pause that
grows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row, tuple_row

from kompensa_common.connection_probe import Connect
from kompensa_eventstore.events import Position, StoredEvent
from kompensa_eventstore.feed import BATCH, RECONNECT_SECONDS, Feed, Patience
from kompensa_eventstore.poolers import require_own_process
from kompensa_eventstore.projections.projection import Projection
from kompensa_eventstore.projections.rows import Rows

_log = logging.getLogger(__name__)
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
LONGEST_ERROR = 500


_STATUS = """
    SELECT p.transaction_id, p.number, p.events, p.error, p.failing_since, w.behind,
           coalesce(extract(epoch FROM clock_timestamp() - w.oldest), 0)::float8 AS lag
      FROM {projections} p, LATERAL (
           SELECT count(*) AS behind, min(occurred_at) AS oldest FROM (
               SELECT occurred_at FROM {events}
                WHERE (transaction_id, position) > (p.transaction_id::text::xid8, p.number)
                  AND (%(types)s::text[] IS NULL OR aggregate_type = ANY (%(types)s))
                ORDER BY transaction_id, position LIMIT 10000) waiting) w
     WHERE p.name = %(name)s
"""


class MovedError(Exception):
    """The stored position is not that of this runner. The tables were rebuilt, or another runner writes."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a projection.

    Attributes
    ----------
    behind
        Number of events that it has not applied yet, counted up to 10,000.
    lag_seconds
        Age of the oldest of them, or 0 if there is none.
    error, failing_since
        The error that stops it, or None.
    """

    name: str
    position: Position
    events: int
    behind: int
    lag_seconds: float
    error: str | None
    failing_since: datetime | None


class ProjectionRunner:
    """Runs one projection in one schema.

    Parameters
    ----------
    connect
        Opens connections in autocommit, directly to the server or through a pooler in session mode.
    batch
        The largest number of events in one transaction.
    """

    def __init__(
        self, projection: Projection, feed: Feed, connect: Connect, *, schema: str, batch: int = BATCH
    ) -> None:
        self.projection = projection
        self._feed = feed
        self._connect = connect
        self._schema = schema
        self._batch = batch
        self._retry = FIRST_RETRY_SECONDS
        self._failing = False

    async def run(self) -> None:
        """Follow the feed without end; a lost connection is opened again.

        Raises
        ------
        PoolerError
            Behind a pooler in transaction or statement mode.
        """
        while True:
            try:
                async with await self._connect() as reader, await self._connect() as writer:
                    await require_own_process(reader, self._connect)
                    await self._feed.listen(reader)
                    await hold(writer, self._schema, self.projection.name)
                    await self._follow(reader, writer)
            except psycopg.OperationalError as error:
                _log.warning("projection %s has lost its database: %s", self.projection.name, error)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _follow(self, reader: AsyncConnection[Any], writer: AsyncConnection[Any]) -> None:
        after = await position(writer, self._schema, self.projection.name)
        patience = Patience()
        while True:
            try:
                page = await self._feed.read(reader, after=after, limit=1 if self._failing else self._batch)
                if not page.events:
                    await patience.wait(reader, page)
                    continue
                patience = Patience()
                await advance(writer, self.projection, page.events, after=after, schema=self._schema)
                after = page.events[-1].position
                self._failing, self._retry = False, FIRST_RETRY_SECONDS
            except MovedError:
                after = await position(writer, self._schema, self.projection.name)
            except psycopg.OperationalError:
                raise
            except Exception as error:
                await self._failed(writer, error)

    async def _failed(self, writer: AsyncConnection[Any], error: Exception) -> None:
        """After an error in a batch, go on event by event. At the event that fails, store the error and wait."""
        if not self._failing:
            self._failing = True
            return
        _log.exception("projection %s cannot go on", self.projection.name)
        query = sql.SQL(
            "UPDATE {} SET error = %s, failing_since = coalesce(failing_since, clock_timestamp()) WHERE name = %s"
        ).format(_bookkeeping(self._schema))
        text = f"{type(error).__name__}: {error}"[:LONGEST_ERROR].replace("\0", "")
        await writer.execute(query, (text, self.projection.name))
        await asyncio.sleep(self._retry)
        self._retry = min(2 * self._retry, LONGEST_RETRY_SECONDS)


async def hold(connection: AsyncConnection[Any], schema: str, name: str) -> None:
    """Wait until no other session runs the projection. This session then holds the lock until it ends."""
    await connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (f"projection {schema}.{name}",))


async def advance(
    connection: AsyncConnection[Any],
    projection: Projection,
    events: Sequence[StoredEvent],
    *,
    after: Position,
    schema: str,
    name: str | None = None,
    suffix: str = "",
) -> None:
    """Apply the events and move the position, in one transaction.

    Raises
    ------
    MovedError
        The stored position is not `after`.
    """
    name = name or projection.name
    async with connection.transaction():
        if await position(connection, schema, name, lock=True) != after:
            raise MovedError
        await projection.apply(await Rows.of(connection, projection.tables, schema=schema, suffix=suffix), events)
        query = sql.SQL(
            "UPDATE {} SET transaction_id = %s, number = %s, events = events + %s, advanced_at = clock_timestamp(),"
            " error = NULL, failing_since = NULL WHERE name = %s"
        ).format(_bookkeeping(schema))
        await connection.execute(query, (*events[-1].position, len(events), name))


async def position(connection: AsyncConnection[Any], schema: str, name: str, *, lock: bool = False) -> Position:
    """The position of the projection. A new projection begins before the first event."""
    table = _bookkeeping(schema)
    query = sql.SQL("SELECT transaction_id, number FROM {} WHERE name = %s").format(table)
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query + sql.SQL(" FOR UPDATE") if lock else query, (name,))
        row = await cursor.fetchone()
        if row is None:
            insert = sql.SQL("INSERT INTO {} (name) VALUES (%s) ON CONFLICT DO NOTHING").format(table)
            await cursor.execute(insert, (name,))
            return await position(connection, schema, name, lock=lock)
    return Position(*row)


async def status(
    connection: AsyncConnection[Any], projection: Projection, *, schema: str, events: str = "events"
) -> Status:
    """The state of the projection, from its row in `projections` and from the events that it has not applied."""
    query = sql.SQL(_STATUS).format(projections=_bookkeeping(schema), events=sql.Identifier(schema, events))
    types = list(projection.aggregates) if projection.aggregates is not None else None
    await position(connection, schema, projection.name)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, {"name": projection.name, "types": types})
        row = await cursor.fetchone()
    assert row is not None, "position() has made the row"
    return Status(
        name=projection.name,
        position=Position(row["transaction_id"], row["number"]),
        events=row["events"],
        behind=row["behind"],
        lag_seconds=max(0.0, row["lag"]),
        error=row["error"],
        failing_since=row["failing_since"],
    )


def _bookkeeping(schema: str) -> sql.Identifier:
    return sql.Identifier(schema, "projections")
