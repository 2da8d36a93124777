"""The row of a projection in the table `projections`: its position, and the failure that stops it.

A row of a projection and its position change in the same transaction, which first locks the position and compares it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from kompensa_eventstore.events import Position, StoredEvent
from kompensa_eventstore.projections.projection import Projection
from kompensa_eventstore.projections.rows import Rows, TableSet

LONGEST_MESSAGE = 500


class MovedError(Exception):
    """The stored position is not that of this runner. The tables were rebuilt, or another runner writes."""


def bookkeeping(schema: str) -> sql.Identifier:
    """The table `projections` of the schema."""
    return sql.Identifier(schema, "projections")


async def position(connection: AsyncConnection[Any], schema: str, name: str, *, lock: bool = False) -> Position:
    """The position of the projection. A new projection begins before the first event."""
    table = bookkeeping(schema)
    query = sql.SQL("SELECT transaction_id, number FROM {} WHERE name = %s").format(table)
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query + sql.SQL(" FOR UPDATE") if lock else query, (name,))
        row = await cursor.fetchone()
        if row is None:
            insert = sql.SQL("INSERT INTO {} (name) VALUES (%s) ON CONFLICT DO NOTHING").format(table)
            await cursor.execute(insert, (name,))
            return await position(connection, schema, name, lock=lock)
    return Position(*row)


async def advance(
    connection: AsyncConnection[Any],
    projection: Projection,
    tables: TableSet,
    events: Sequence[StoredEvent],
    *,
    after: Position,
    end: Position,
    count: int,
    schema: str,
    name: str | None = None,
) -> None:
    """Apply the events and move the position over `count` events to `end`, in one transaction.

    Raises
    ------
    MovedError
        The stored position is not `after`.
    """
    name = name or projection.name
    query = sql.SQL(
        "UPDATE {} SET transaction_id = %s, number = %s, events = events + %s, advanced_at = clock_timestamp(),"
        " failure = NULL, failing_since = NULL WHERE name = %s"
    ).format(bookkeeping(schema))
    async with connection.transaction():
        if await position(connection, schema, name, lock=True) != after:
            raise MovedError
        await projection.apply(Rows(connection, tables), events)
        await connection.execute(query, (*end, count, name))


async def note_failure(
    connection: AsyncConnection[Any], schema: str, name: str, error: Exception, event: StoredEvent | None
) -> None:
    """Store the failure that stops the projection, with the event at which it stopped, if there is one."""
    message = f"{type(error).__name__}: {error}"[:LONGEST_MESSAGE].replace("\0", "")
    failure = {
        "message": message,
        **(
            {
                "event": str(event.id),
                "stream": str(event.stream),
                "version": event.version,
                "type": event.type,
                "schemaVersion": event.schema_version,
            }
            if event is not None
            else {}
        ),
    }
    query = sql.SQL(
        "UPDATE {} SET failure = %s::jsonb, failing_since = coalesce(failing_since, clock_timestamp()) WHERE name = %s"
    ).format(bookkeeping(schema))
    await connection.execute(query, (json.dumps(failure), name))
