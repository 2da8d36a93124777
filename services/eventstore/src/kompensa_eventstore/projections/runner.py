"""Applies the events of a feed to a projection as they arrive.

**Exactly once.** Rows and position are committed together. So if the runner is killed at any point, no event is lost or
applied twice.

**One at a time.** The runner holds a lock in the session that writes, and other runners wait for it (see `turn`). In
each transaction it also locks and compares the position. This detects a second runner behind a pooler, and allows a
rebuild to replace the tables of a running projection.

**Errors.** If a handler raises, its projection stops at that event; other projections go on. The events before it are
applied. The failure is stored in the projection's row, which `status` shows. The event is tried again after a pause
that grows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import psycopg
from psycopg import AsyncConnection

from kompensa_common.connection_probe import Connect
from kompensa_eventstore.errors import UnknownEventError
from kompensa_eventstore.events import Position, StoredEvent
from kompensa_eventstore.feed import BATCH, RECONNECT_SECONDS, Feed, Page, Patience
from kompensa_eventstore.poolers import require_own_process
from kompensa_eventstore.projections.bookkeeping import MovedError, advance, note_failure, position
from kompensa_eventstore.projections.projection import Projection
from kompensa_eventstore.projections.rows import TableSet
from kompensa_eventstore.projections.turn import SIGN_OF_LIFE_SECONDS, SILENT_SECONDS, take_turn

_log = logging.getLogger(__name__)
FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = SIGN_OF_LIFE_SECONDS


class ProjectionRunner:
    """Runs one projection in one schema.

    Parameters
    ----------
    connect
        Opens connections in autocommit, directly to the server or through a pooler in session mode.
    batch
        The largest number of events in one transaction.
    silent_seconds
        Take over from a runner that hangs after this time.
    """

    def __init__(
        self,
        projection: Projection,
        feed: Feed,
        connect: Connect,
        *,
        schema: str,
        batch: int = BATCH,
        silent_seconds: float = SILENT_SECONDS,
    ) -> None:
        self.projection = projection
        self._feed = feed
        self._connect = connect
        self._schema = schema
        self._batch = batch
        self._silent_seconds = silent_seconds

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
                    await take_turn(writer, self._schema, self.projection.name, silent_seconds=self._silent_seconds)
                    # A crash of the server may lose rows, but only together with the position after them.
                    await writer.execute("SET synchronous_commit TO off")
                    turn = _Turn(self.projection, self._feed, reader, writer, schema=self._schema, batch=self._batch)
                    await turn.follow(sign_of_life=min(SIGN_OF_LIFE_SECONDS, self._silent_seconds / 3))
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                _log.warning("projection %s has lost its database: %s", self.projection.name, error)
                await asyncio.sleep(RECONNECT_SECONDS)


class _Turn:
    """The work of a runner from the moment it holds the lock until it loses a connection."""

    def __init__(
        self,
        projection: Projection,
        feed: Feed,
        reader: AsyncConnection[Any],
        writer: AsyncConnection[Any],
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
        self._retry = FIRST_RETRY_SECONDS
        self._careful = 0
        """The number of events to apply one by one, because a batch of them failed."""
        self._tables: TableSet | None = None
        self._after: Position | None = None
        self._spoke_at = time.monotonic()

    async def follow(self, *, sign_of_life: float) -> None:
        """Apply events without end. A statement is sent at least every `sign_of_life` seconds."""
        patience = Patience()
        while True:
            page: Page | None = None
            try:
                page = await self._read()
                if page.end is not None:
                    await self._advance(page, page.end)
                    patience = Patience()
                    continue
            except MovedError:
                self._after = self._tables = None
                continue
            except Exception as error:
                if self._reader.closed or self._writer.closed:
                    raise
                await self._failed(error, page, longest=sign_of_life)
                continue
            await patience.wait(self._reader, page, seconds=sign_of_life)
            await self._show_life(sign_of_life)

    async def _read(self) -> Page:
        if self._after is None:
            self._after = await position(self._writer, self._schema, self._projection.name)
        limit = 1 if self._careful else self._batch
        return await self._feed.read(self._reader, after=self._after, limit=limit, named=self._projection.handlers)

    async def _advance(self, page: Page, end: Position) -> None:
        assert self._after is not None, "_read has set it"
        if self._tables is None:
            projection = self._projection
            self._tables = await TableSet.of(self._writer, projection.tables, projection.sources, schema=self._schema)
        await advance(
            self._writer,
            self._projection,
            self._tables,
            page.events,
            after=self._after,
            end=end,
            count=page.count,
            schema=self._schema,
        )
        self._after, self._spoke_at = end, time.monotonic()
        self._careful, self._retry = max(0, self._careful - page.count), FIRST_RETRY_SECONDS

    async def _failed(self, error: Exception, page: Page | None, *, longest: float) -> None:
        """After an error in a batch, go on event by event. At the event that fails, store the failure and wait."""
        self._tables = None  # the tables may have other columns now
        if not self._careful:
            self._careful = page.count if page is not None and page.count else self._batch
            return
        _log.error("projection %s cannot go on", self._projection.name, exc_info=error)
        await note_failure(self._writer, self._schema, self._projection.name, error, _event_of(error, page))
        await asyncio.sleep(min(self._retry, longest))
        self._retry = min(2 * self._retry, LONGEST_RETRY_SECONDS)

    async def _show_life(self, sign_of_life: float) -> None:
        """Send a statement in the session with the lock, unless it has just sent one."""
        if time.monotonic() - self._spoke_at > sign_of_life / 2:
            await self._writer.execute("SELECT")
            self._spoke_at = time.monotonic()


def _event_of(error: Exception, page: Page | None) -> StoredEvent | None:
    """The event at fault: the only one that was read, or the one that could not be read."""
    if isinstance(error, UnknownEventError):
        return error.event
    return page.events[0] if page is not None and page.events else None
