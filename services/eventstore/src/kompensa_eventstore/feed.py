"""Reads all streams in one order that misses no event, and wakes readers instead of making them poll.

**The order** is (transaction, number). The feed returns only events of transactions that are older than all running
ones: `transaction < pg_snapshot_xmin(pg_current_snapshot())`. A transaction that commits later has a higher id than all
events returned so far. So a reader that remembers its last position misses no event (F3). The price is that an event
waits for each older transaction of the server. Therefore set `idle_in_transaction_session_timeout`.

**Waking.** If several writers run at the same time, only one of them notifies (see `tables`). When the reader wakes,
the others may not have committed yet, or an event may wait for an older transaction. The feed sees both cases: running
writers hold an advisory lock, and waiting events are in the table. Then the reader reads again after a pause. Otherwise
it sends no query until the next notification.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from kompensa_common.connection_probe import Connect
from kompensa_eventstore.errors import RestoredElsewhereError
from kompensa_eventstore.event_types import EventTypes
from kompensa_eventstore.events import BEGINNING, Position, StoredEvent
from kompensa_eventstore.poolers import require_own_process
from kompensa_eventstore.rows import COLUMNS, stored
from kompensa_eventstore.tables import WRITING, channel

BATCH = 500
FIRST_PAUSE_SECONDS = 0.002
LONGEST_PAUSE_SECONDS = 0.1
SIGN_OF_LIFE_SECONDS = 30.0
"""After this time without a notification, a query checks that the connection still works."""
RECONNECT_SECONDS = 1.0

# Asked before the events are read. In the opposite order, a writer could commit in between without being noticed.
_WRITERS = """
    SELECT EXISTS (SELECT FROM pg_locks
                    WHERE locktype = 'advisory'
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                      AND classid = %s::regclass AND objid = %s AND objsubid = 2)
"""
_READ = """
    SELECT transaction_id >= pg_snapshot_xmin(pg_current_snapshot()) AS early,
           transaction_id >= pg_snapshot_xmax(pg_current_snapshot())
               AND transaction_id IS DISTINCT FROM pg_current_xact_id_if_assigned() AS impossible,
           %(named)s::text[] IS NULL OR event_type = ANY (%(named)s) AS named,
           {columns} FROM {events}
     WHERE (transaction_id, position) > (%(transaction)s::xid8, %(number)s)
       AND (%(types)s::text[] IS NULL OR aggregate_type = ANY (%(types)s))
     ORDER BY transaction_id, position LIMIT %(limit)s
"""
_EARLY, _IMPOSSIBLE, _NAMED, _EVENT = range(4)
_TRANSACTION = _EVENT + 8
"""Columns of a row of `_READ`; from _EVENT those of an event."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """Events after a position, in order.

    Attributes
    ----------
    count, end
        The number of events that the page passes, and the position of the last one, or None if there is none. Events of
        types that the reader does not name are passed, but are not in `events`.
    settled
        False if more may follow without a notification.
    """

    events: list[StoredEvent]
    count: int
    end: Position | None
    settled: bool


class Feed:
    """All events of a table.

    Parameters
    ----------
    schema, table
        The table of events.
    types
        The event types by aggregate type, for upcasting. Events of other aggregates are returned as they are stored.
    only
        Aggregate types to read. The default is all.
    """

    def __init__(
        self,
        schema: str,
        table: str = "events",
        *,
        types: dict[str, EventTypes] | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        self._types = types or {}
        self._only = list(only) if only is not None else None
        self.name = sql.Identifier(schema, table)
        self._channel = sql.Identifier(channel(schema, table))
        self._query = sql.SQL(_READ).format(columns=sql.SQL(COLUMNS), events=self.name)

    async def read(
        self,
        connection: AsyncConnection[Any],
        *,
        after: Position = BEGINNING,
        limit: int = BATCH,
        named: Collection[str] | None = None,
    ) -> Page:
        """The next events after a position.

        Parameters
        ----------
        limit
            The largest number of events that the page passes.
        named
            Event types to return. Events of other types are passed without being decoded. The default is all types.

        Raises
        ------
        RestoredElsewhereError
            The table was copied from another server by pg_dump.
        UnknownEventError
            Newer code wrote an event that this code cannot read, or an upcast failed.
        """
        parameters = {
            "transaction": str(after.transaction),
            "number": after.number,
            "types": self._only,
            "named": list(named) if named is not None else None,
            "limit": limit,
        }
        async with connection.cursor(row_factory=tuple_row) as cursor:
            found = await (await cursor.execute(_WRITERS, (self.name.as_string(connection), WRITING))).fetchone()
            rows = await (await cursor.execute(self._query, parameters)).fetchall()
        if any(row[_IMPOSSIBLE] for row in rows):
            raise RestoredElsewhereError(
                f"{self.name.as_string(connection)} was restored from another server, whose transaction ids are not "
                "valid here; run the statements of after_restore() as its owner, then rebuild the projections"
            )
        ready = [row for row in rows if not row[_EARLY]]
        events = [stored(row[_EVENT:], self._types.get(row[_EVENT + 1])) for row in ready if row[_NAMED]]
        writing = bool(found and found[0])
        return Page(
            events=events,
            count=len(ready),
            end=Position(int(ready[-1][_TRANSACTION]), ready[-1][_TRANSACTION + 1]) if ready else None,
            settled=not writing and len(ready) == len(rows) and len(rows) < limit,
        )

    async def listen(self, connection: AsyncConnection[Any]) -> None:
        """Subscribe the connection to notifications about new events. `Patience.wait` needs this."""
        await connection.execute(sql.SQL("LISTEN {}").format(self._channel))

    async def follow(
        self, connect: Connect, *, after: Position = BEGINNING, limit: int = BATCH
    ) -> AsyncIterator[list[StoredEvent]]:
        """Events as they are committed, in batches, without end. A lost connection is opened again.

        The caller stores the position of the last event that it has handled, and starts there next time.

        Raises
        ------
        PoolerError
            Behind a pooler in transaction or statement mode.
        """
        while True:
            try:
                async with await connect() as connection:
                    await require_own_process(connection, connect)
                    await self.listen(connection)
                    patience = Patience()
                    while True:
                        page = await self.read(connection, after=after, limit=limit)
                        if page.events:
                            after = page.events[-1].position
                            patience = Patience()
                            yield page.events
                        else:
                            await patience.wait(connection, page)
            except psycopg.OperationalError:
                await asyncio.sleep(RECONNECT_SECONDS)


class Patience:
    """Waits after a page without events: for a notification or, if none may come, for a pause that grows."""

    def __init__(self) -> None:
        self._pause = FIRST_PAUSE_SECONDS

    async def wait(
        self, connection: AsyncConnection[Any], page: Page, *, seconds: float = SIGN_OF_LIFE_SECONDS
    ) -> None:
        """Return when it is time to read again, at the latest after `seconds`.

        The connection must be in autocommit, and must have called `listen`.
        """
        if page.settled:
            async for _ in connection.notifies(timeout=seconds, stop_after=1):
                pass
            return
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
