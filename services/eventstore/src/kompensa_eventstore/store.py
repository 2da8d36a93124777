"""Appends to one stream and reads it, on the caller's connection and in the caller's transaction.

`append` is one statement. It inserts the first event only if the stream is at the version that the caller expects, and
the others only if the first was inserted. So the versions of a stream are 1, 2, 3 without gaps, even if several writers
run at the same time (F1). A conflict does not abort the caller's transaction: load, decide and append again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from kompensa_eventstore.encoding import plain
from kompensa_eventstore.errors import InvalidEventError, VersionConflictError
from kompensa_eventstore.event_types import EventTypes
from kompensa_eventstore.events import UNKNOWN_PROVENANCE, NewEvent, Position, Provenance, StoredEvent, Stream
from kompensa_eventstore.rows import COLUMNS, stored

LARGEST_EVENT_BYTES = 1_000_000
AGGREGATE_TYPE = re.compile(r"[A-Za-z0-9._-]{1,100}")
LARGEST_APPEND = 1_000
"""Events in one call. A decision usually makes a few."""

_GIVEN = (
    "id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, occurred_at,"
    " actor, correlation_id, causation_id, saga_id, traceparent"
)
_APPEND = """
    WITH head AS (
        SELECT aggregate_version, occurred_at FROM {events}
         WHERE aggregate_type = %(aggregate_type)s AND aggregate_id = %(aggregate_id)s
         ORDER BY aggregate_version DESC LIMIT 1
    ), first AS (
        INSERT INTO {events} ({given})
        SELECT %(id)s, %(aggregate_type)s, %(aggregate_id)s, %(expected)s + 1, %(type)s, %(schema_version)s,
               %(data)s::jsonb,
               greatest(coalesce(%(occurred_at)s::timestamptz, clock_timestamp()), (SELECT occurred_at FROM head)),
               %(actor)s, %(correlation_id)s, %(causation_id)s, %(saga_id)s, %(traceparent)s
         WHERE coalesce((SELECT aggregate_version FROM head), 0) = %(expected)s
        ON CONFLICT (aggregate_type, aggregate_id, aggregate_version) DO NOTHING
        RETURNING *
    ){rest}
    SELECT aggregate_version, occurred_at, transaction_id::text, position FROM {made} ORDER BY aggregate_version
"""
_REST = """, rest AS (
        INSERT INTO {events} ({given})
        SELECT more.id, first.aggregate_type, first.aggregate_id, first.aggregate_version + more.nth, more.type,
               more.schema_version, more.data::jsonb,
               greatest(coalesce(more.occurred_at, clock_timestamp()), first.occurred_at),
               first.actor, first.correlation_id, first.causation_id, first.saga_id, first.traceparent
          FROM first, unnest(%(ids)s::uuid[], %(types)s::text[], %(schema_versions)s::text[], %(datas)s::text[],
                             %(occurred_ats)s::timestamptz[])
               WITH ORDINALITY AS more (id, type, schema_version, data, occurred_at, nth)
         ORDER BY more.nth
        RETURNING *
    ), made AS (SELECT * FROM first UNION ALL SELECT * FROM rest)"""


class EventStore:
    """The events of one kind of aggregate, in one table.

    Parameters
    ----------
    aggregate_type
        For example "Order". It ends the name of a topic, if the table is captured as an Outbox.
    types
        Its event types. Without them, data are neither checked nor upcast.
    table
        The table. It is found by the connection's search path unless `schema` is given.
    """

    def __init__(
        self,
        aggregate_type: str,
        types: EventTypes | None = None,
        *,
        table: str = "events",
        schema: str | None = None,
        largest_event_bytes: int = LARGEST_EVENT_BYTES,
    ) -> None:
        if not AGGREGATE_TYPE.fullmatch(aggregate_type):
            raise ValueError(
                f"{aggregate_type!r} cannot be the type of an aggregate: expected 1 to 100 letters, digits, . _ or -, "
                "for example Order"
            )
        self.aggregate_type = aggregate_type
        self.types = types
        self._limit = largest_event_bytes
        events = sql.Identifier(*(part for part in (schema, table) if part))
        given = sql.SQL(_GIVEN)
        rest = sql.SQL(_REST).format(events=events, given=given)
        parts = {"events": events, "given": given}
        self._append_one = sql.SQL(_APPEND).format(**parts, rest=sql.SQL(""), made=sql.SQL("first"))
        self._append_many = sql.SQL(_APPEND).format(**parts, rest=rest, made=sql.SQL("made"))
        self._version = sql.SQL(
            "SELECT coalesce(max(aggregate_version), 0) FROM {} WHERE aggregate_type = %s AND aggregate_id = %s"
        ).format(events)
        self._read = sql.SQL(
            "SELECT {columns} FROM {events}"
            " WHERE aggregate_type = %(aggregate_type)s AND aggregate_id = %(aggregate_id)s"
            " AND aggregate_version >= %(first)s AND (%(until)s::timestamptz IS NULL OR occurred_at <= %(until)s)"
            " ORDER BY aggregate_version LIMIT %(limit)s"
        ).format(columns=sql.SQL(COLUMNS), events=events)

    def stream(self, aggregate_id: Any) -> Stream:
        """The stream of one aggregate."""
        return Stream(self.aggregate_type, aggregate_id)

    async def append(
        self,
        connection: AsyncConnection[Any],
        stream: Stream,
        events: Sequence[NewEvent],
        *,
        expected_version: int,
        provenance: Provenance = UNKNOWN_PROVENANCE,
    ) -> list[StoredEvent]:
        """Append all events, or none, as the next versions of the stream.

        Parameters
        ----------
        expected_version
            The version that the caller has read, or 0 for a stream that must not exist yet.

        Raises
        ------
        VersionConflictError
            The stream is at another version. Nothing was written, and the transaction can go on.
        InvalidEventError
            An event is not valid. Nothing was written, and the transaction can go on.
        """
        if not events:
            return []
        checked = self._checked(events, expected_version)
        parameters = _parameters(stream, events, checked, expected_version, provenance)
        query = self._append_one if len(events) == 1 else self._append_many
        async with connection.cursor(row_factory=tuple_row) as cursor:
            made = await (await cursor.execute(query, parameters)).fetchall()
        if not made:
            actual = await self.version(connection, stream)
            raise VersionConflictError(stream, expected=expected_version, actual=actual)
        return [
            _stored(stream, event, data, provenance, row)
            for event, (_, data), row in zip(events, checked, made, strict=True)
        ]

    async def version(self, connection: AsyncConnection[Any], stream: Stream) -> int:
        """The version of the stream's last event, or 0 if it has none."""
        async with connection.cursor(row_factory=tuple_row) as cursor:
            row = await (await cursor.execute(self._version, tuple(stream))).fetchone()
        return int(row[0]) if row else 0

    async def read(
        self,
        connection: AsyncConnection[Any],
        stream: Stream,
        *,
        from_version: int = 1,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> list[StoredEvent]:
        """The events of a stream in order, with their data in the newest version.

        Parameters
        ----------
        from_version
            The first version to return.
        until
            Leave out events after this instant (S57). It needs a time zone.
        limit
            The largest number of events to return.

        Raises
        ------
        UnknownEventError
            Newer code wrote an event that this code cannot read.
        """
        if until is not None and until.tzinfo is None:
            raise ValueError(f"{until} has no time zone: an instant needs one")
        parameters = {**stream._asdict(), "first": from_version, "until": until, "limit": limit}
        async with connection.cursor(row_factory=tuple_row) as cursor:
            rows = await (await cursor.execute(self._read, parameters)).fetchall()
        return [stored(row, self.types) for row in rows]

    def _checked(self, events: Sequence[NewEvent], expected_version: int) -> list[tuple[str, Mapping[str, Any]]]:
        """Check the events, and return the data of each as text and as a reader sees them."""
        if expected_version < 0:
            raise InvalidEventError(f"a stream is never at version {expected_version} (0 means that it has no events)")
        if len(events) > LARGEST_APPEND:
            raise InvalidEventError(f"{len(events)} events at once; at most {LARGEST_APPEND}")
        times = [event.occurred_at for event in events if event.occurred_at is not None]
        if any(time.tzinfo is None for time in times):
            raise InvalidEventError("occurred_at has no time zone")
        if times != sorted(times):
            raise InvalidEventError("the events of one append must be in the order of their occurred_at")
        checked: list[tuple[str, Mapping[str, Any]]] = []
        for event in events:
            text, data = plain(event.data, type_=event.type, limit=self._limit)
            if self.types is not None:
                self.types.check(event.type, event.schema_version, data)
            checked.append((text, data))
        return checked


def _stored(
    stream: Stream, event: NewEvent, data: Mapping[str, Any], provenance: Provenance, row: tuple[Any, ...]
) -> StoredEvent:
    version, occurred_at, transaction, number = row
    return StoredEvent(
        id=event.id,
        stream=stream,
        version=version,
        type=event.type,
        schema_version=event.schema_version,
        data=data,
        occurred_at=occurred_at,
        provenance=provenance,
        position=Position(int(transaction), number),
    )


def _parameters(
    stream: Stream,
    events: Sequence[NewEvent],
    checked: Sequence[tuple[str, Mapping[str, Any]]],
    expected_version: int,
    provenance: Provenance,
) -> dict[str, Any]:
    first, *more = events
    parameters: dict[str, Any] = {
        **stream._asdict(),
        "expected": expected_version,
        "id": first.id,
        "type": first.type,
        "schema_version": first.schema_version,
        "data": checked[0][0],
        "occurred_at": first.occurred_at,
        "actor": provenance.actor,
        "correlation_id": provenance.correlation_id,
        "causation_id": provenance.causation_id,
        "saga_id": provenance.saga_id,
        "traceparent": provenance.traceparent,
    }
    if more:
        parameters |= {
            "ids": [event.id for event in more],
            "types": [event.type for event in more],
            "schema_versions": [event.schema_version for event in more],
            "datas": [text for text, _ in checked[1:]],
            "occurred_ats": [event.occurred_at for event in more],
        }
    return parameters
