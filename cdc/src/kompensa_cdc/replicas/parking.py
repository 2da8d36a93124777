"""Parked events: a poison event stops its own key, and nothing else.

What follows it for the same key is kept behind it in order, so that nothing is applied out of turn and nothing is
lost when the record leaves the topic.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from psycopg import AsyncConnection

from kompensa_cdc.events import Poison
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import version_of


async def held_keys(connection: AsyncConnection, books: Bookkeeping, keys: Iterable[str]) -> Mapping[str, int]:
    """Return the parked ones of `keys`, each with its lowest parked version."""
    rows = await connection.execute(
        books.compose(
            """SELECT key, min(aggregate_version) FROM {parked}
                WHERE replica = %s AND key = ANY(%s) GROUP BY key"""
        ),
        (books.replica, list(keys)),
    )
    return {key: version async for key, version in rows}


async def park(connection: AsyncConnection, books: Bookkeeping, events: Sequence[Poison]) -> None:
    """Keep events aside, in order; an event that is parked already (a rewind) stays as it is."""
    if not events:
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(
            books.compose(
                """INSERT INTO {parked} (replica, key, topic, partition, record_offset, aggregate_version,
                                         headers, payload, error)
                   VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s)
                   ON CONFLICT (replica, topic, partition, record_offset) DO NOTHING"""
            ),
            [
                (
                    books.replica,
                    event.key,
                    event.topic,
                    event.partition,
                    event.offset,
                    version_of(event),
                    msgspec.json.encode(event.headers).decode(),
                    event.value.replace("\0", "\ufffd") if event.value is not None else None,
                    event.error,
                )
                for event in events
            ],
        )


async def count_parked_keys(connection: AsyncConnection, books: Bookkeeping) -> int:
    row = await (
        await connection.execute(
            books.compose("SELECT count(DISTINCT key) FROM {parked} WHERE replica = %s"), (books.replica,)
        )
    ).fetchone()
    return int(row[0]) if row else 0
