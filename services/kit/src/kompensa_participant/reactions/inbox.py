"""The inbox: one row for each event that arrived, and the content of each event that waits.

A row's state says all:

- `Handled`: the handler's transaction has committed. A duplicate finds the row and has no effect.
- `Retrying`: the handler has failed; it is tried again at `next_attempt_at`.
- `Held`: an earlier event of the same key is not settled yet.
- `Parked`: the attempts are used up, or none can help. A person retries or discards the event.
- `Discarded`: a person has decided that the event shall have no effect.

`position` is the order of arrival. Every function here works in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from kompensa_consumer import StoredRecord
from kompensa_participant.reactions.arrival import Arrival
from kompensa_participant.reactions.failure import Failure

WaitingState = Literal["Retrying", "Held", "Parked"]
WAITING: Sequence[WaitingState] = ("Retrying", "Held", "Parked")
Connection = AsyncConnection[Any]

_UNSETTLED = "state IN ('Retrying', 'Held', 'Parked')"
# An ordered event may be handled once no earlier ordered event of its key is unsettled.
_FIRST_OF_KEY = (
    "NOT (i.ordered AND EXISTS (SELECT FROM inbox e WHERE e.key = i.key AND e.ordered AND e.position < i.position"
    f" AND e.{_UNSETTLED}))"
)


@dataclass(frozen=True, kw_only=True)
class WaitingEvent:
    """An event whose turn has come: `record` is its content, in the form that it was read in."""

    event_id: UUID
    state: WaitingState
    attempts: int
    record: StoredRecord


@dataclass(frozen=True, kw_only=True)
class InboxRow:
    """An event as people look at it: without its content, which may be personal."""

    event_id: UUID
    position: int
    state: str
    topic: str
    partition: int
    record_offset: int
    key: str
    event_type: str
    ordered: bool
    attempts: int
    error: str | None
    received_at: datetime
    next_attempt_at: datetime | None
    settled_at: datetime | None


_SHOWN = ", ".join(InboxRow.__dataclass_fields__)


async def receive(connection: Connection, arrival: Arrival) -> Literal["Handled", "Held"] | None:
    """Insert the event's row: `Held` if it must wait for its key, or else `Handled`; None if it was there already."""
    cursor = await connection.execute(
        "INSERT INTO inbox (event_id, state, topic, partition, record_offset, key, event_type, ordered, settled_at)"
        " SELECT %(id)s, CASE WHEN waits THEN 'Held' ELSE 'Handled' END, %(topic)s, %(partition)s, %(offset)s, %(key)s,"
        " %(type)s, %(ordered)s, CASE WHEN waits THEN NULL ELSE clock_timestamp() END FROM (SELECT %(ordered)s AND"
        f" EXISTS (SELECT FROM inbox WHERE key = %(key)s AND ordered AND {_UNSETTLED}) AS waits) AS earlier"
        " ON CONFLICT (event_id) DO NOTHING RETURNING state",
        {
            "id": arrival.id,
            "topic": arrival.place[0],
            "partition": arrival.place[1],
            "offset": arrival.place[2],
            "key": arrival.key,
            "type": arrival.type,
            "ordered": arrival.ordered,
        },
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def keep(connection: Connection, arrival: Arrival) -> None:
    """Keep the content of an event that waits."""
    await connection.execute(
        "UPDATE inbox SET headers = %s, value = %s WHERE event_id = %s",
        (Jsonb(arrival.headers), arrival.value, arrival.id),
    )


async def put_aside(
    connection: Connection, event_id: UUID, failure: Failure, *, attempts: int, pause: float | None
) -> None:
    """Retry the event after a pause in seconds; without one, park it."""
    await connection.execute(
        "UPDATE inbox SET state = CASE WHEN %(pause)s::float8 IS NULL THEN 'Parked' ELSE 'Retrying' END,"
        " attempts = %(attempts)s, error = %(error)s, traceback = %(traceback)s, settled_at = NULL,"
        " next_attempt_at = clock_timestamp() + make_interval(secs => %(pause)s::float8) WHERE event_id = %(id)s",
        {
            "id": event_id,
            "attempts": attempts,
            "error": failure.error,
            "traceback": failure.traceback,
            "pause": pause,
        },
    )


async def settle(connection: Connection, event_id: UUID) -> None:
    """The event is handled: forget its content and its errors."""
    await connection.execute(
        "UPDATE inbox SET state = 'Handled', attempts = attempts + 1, error = NULL, traceback = NULL, headers = NULL,"
        " value = NULL, next_attempt_at = NULL, settled_at = clock_timestamp() WHERE event_id = %s",
        (event_id,),
    )


async def next_due(connection: Connection) -> WaitingEvent | None:
    """Lock and return the first event whose turn has come. Other processes skip it until this transaction ends."""
    cursor = await connection.execute(
        "SELECT event_id, state, attempts, topic, partition, record_offset, key, headers, value,"
        " (extract(epoch FROM received_at) * 1000)::bigint FROM inbox i"
        " WHERE (state = 'Held' OR state = 'Retrying' AND next_attempt_at <= clock_timestamp())"
        f" AND {_FIRST_OF_KEY} ORDER BY position LIMIT 1 FOR UPDATE SKIP LOCKED"
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    return WaitingEvent(event_id=row[0], state=row[1], attempts=row[2], record=StoredRecord(*row[3:]))


async def seconds_to_next(connection: Connection) -> float | None:
    """Return how long no event will be due, unless others change something; None if none is to be retried."""
    cursor = await connection.execute(
        "SELECT extract(epoch FROM min(next_attempt_at) - clock_timestamp())::float8"
        f" FROM inbox i WHERE state = 'Retrying' AND {_FIRST_OF_KEY}"
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else max(0.0, row[0])


async def count_waiting(connection: Connection) -> dict[str, int]:
    cursor = await connection.execute(f"SELECT state, count(*) FROM inbox WHERE {_UNSETTLED} GROUP BY state")
    found = {state: count async for state, count in cursor}
    return {state: found.get(state, 0) for state in WAITING}


async def list_events(
    connection: Connection, states: Sequence[str], *, after: int = 0, limit: int = 100
) -> list[InboxRow]:
    """Return events in these states, in the order of arrival, from after a position."""
    async with connection.cursor(row_factory=class_row(InboxRow)) as cursor:
        await cursor.execute(
            f"SELECT {_SHOWN} FROM inbox WHERE state = ANY (%s) AND position > %s ORDER BY position LIMIT %s",
            (list(states), after, limit),
        )
        return await cursor.fetchall()


async def find(connection: Connection, event_id: UUID) -> InboxRow | None:
    async with connection.cursor(row_factory=class_row(InboxRow)) as cursor:
        await cursor.execute(f"SELECT {_SHOWN} FROM inbox WHERE event_id = %s", (event_id,))
        return await cursor.fetchone()


async def content_of(connection: Connection, event_id: UUID) -> dict[str, Any]:
    """Return the headers, value and traceback of an event that waits."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT headers, value, traceback FROM inbox WHERE event_id = %s", (event_id,))
        return await cursor.fetchone() or {}


async def retry(connection: Connection, event_id: UUID | None, *, topic: str | None = None) -> int:
    """Let parked events be tried again at once, with all attempts: one, or all, or those of a topic."""
    cursor = await connection.execute(
        "UPDATE inbox SET state = 'Retrying', attempts = 0, next_attempt_at = clock_timestamp()"
        " WHERE state = 'Parked' AND (%(id)s::uuid IS NULL OR event_id = %(id)s)"
        " AND (%(topic)s::text IS NULL OR topic = %(topic)s)",
        {"id": event_id, "topic": topic},
    )
    return cursor.rowcount


async def discard(connection: Connection, event_id: UUID, reason: str) -> bool:
    """Decide that a parked event shall have no effect. Its content goes, and later events of its key go on."""
    cursor = await connection.execute(
        "UPDATE inbox SET state = 'Discarded', error = concat_ws('; discarded: ', error, %s::text), headers = NULL,"
        " value = NULL, traceback = NULL, settled_at = clock_timestamp() WHERE event_id = %s AND state = 'Parked'",
        (reason, event_id),
    )
    return cursor.rowcount == 1
