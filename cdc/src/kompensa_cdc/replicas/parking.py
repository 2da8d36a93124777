"""Parked events: a poison event stops its own key, and nothing else.

What follows it for the same key is kept behind it in order, so that nothing is applied out of turn and nothing is
lost when the record leaves the topic.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from psycopg import AsyncConnection

from kompensa_cdc.events import Poison
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import version_of


@dataclass(frozen=True)
class Standing:
    """What is known of a batch's keys: the lowest parked version of each, and the version of its deletion."""

    held: Mapping[str, int]
    deleted: Mapping[str, int]


async def standing_of(connection: AsyncConnection, books: Bookkeeping, keys: Collection[str]) -> Standing:
    """Look up both in one round trip; the keys go as one JSON text, which is far cheaper to form than an array."""
    rows = await connection.execute(
        books.compose(
            """WITH wanted AS MATERIALIZED (SELECT jsonb_array_elements_text(%(keys)s::jsonb) AS key)
               SELECT true, key, min(aggregate_version) FROM {parked} JOIN wanted USING (key)
                WHERE replica = %(replica)s GROUP BY key
               UNION ALL
               SELECT false, key, version FROM {tombstones} JOIN wanted USING (key) WHERE replica = %(replica)s"""
        ),
        {"replica": books.replica, "keys": msgspec.json.encode(keys).decode()},
    )
    held: dict[str, int] = {}
    deleted: dict[str, int] = {}
    async for is_held, key, version in rows:
        (held if is_held else deleted)[key] = version
    return Standing(held, deleted)


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
