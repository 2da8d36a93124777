"""Parked events: an event that cannot be applied is kept in a table of its own, and no other event waits for it.

None has to, because each event carries the full state of its aggregate. A newer event of the key that fits supersedes
the parked one. The transaction that writes the newer event also deletes the parked one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from psycopg import AsyncConnection

from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Waiting


@dataclass(frozen=True)
class KeyState:
    """The keys of a batch that have parked events, and the version of each key's deletion."""

    parked: frozenset[str]
    deleted: Mapping[str, int]


async def look_up_keys(connection: AsyncConnection, books: Bookkeeping, keys: Collection[str]) -> KeyState:
    """Look up parked events and deletions in one round trip.

    The keys are sent as one JSON text, which is far cheaper to form than an array.
    """
    rows = await connection.execute(
        books.compose(
            """WITH wanted AS MATERIALIZED (SELECT jsonb_array_elements_text(%(keys)s::jsonb) AS key)
               SELECT DISTINCT true, key, 0::bigint FROM {parked} JOIN wanted USING (key) WHERE replica = %(replica)s
               UNION ALL
               SELECT false, key, version FROM {tombstones} JOIN wanted USING (key) WHERE replica = %(replica)s"""
        ),
        {"replica": books.replica, "keys": msgspec.json.encode(keys).decode()},
    )
    parked: set[str] = set()
    deleted: dict[str, int] = {}
    async for is_parked, key, version in rows:
        if is_parked:
            parked.add(key)
        else:
            deleted[key] = version
    return KeyState(frozenset(parked), deleted)


async def park(connection: AsyncConnection, books: Bookkeeping, events: Sequence[Waiting]) -> None:
    """Park events, in order. An event that is parked already, as after a rewind, stays as it is."""
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
                    event.poison.key,
                    event.poison.topic,
                    event.poison.partition,
                    event.poison.offset,
                    event.version,
                    msgspec.json.encode(event.poison.headers).decode(),
                    event.poison.value,
                    event.poison.error,
                )
                for event in events
            ],
        )


async def drop_superseded(connection: AsyncConnection, books: Bookkeeping, newest: Mapping[str, int]) -> set[str]:
    """Delete parked events up to the version that the copy holds of each key; return the keys that had any."""
    rows = await connection.execute(
        books.compose(
            """DELETE FROM {parked} p USING unnest(%s::text[], %s::bigint[]) AS n (key, version)
                WHERE p.replica = %s AND p.key = n.key AND p.aggregate_version <= n.version RETURNING p.key"""
        ),
        (list(newest.keys()), list(newest.values()), books.replica),
    )
    return {key async for (key,) in rows}


async def count_parked_keys(connection: AsyncConnection, books: Bookkeeping) -> int:
    row = await (
        await connection.execute(
            books.compose("SELECT count(DISTINCT key) FROM {parked} WHERE replica = %s"), (books.replica,)
        )
    ).fetchone()
    return int(row[0]) if row else 0
