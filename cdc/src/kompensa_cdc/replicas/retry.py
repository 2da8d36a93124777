"""Trying parked events again: the way out once the schema, the table or the event's reader has been mended.

Key by key, each in a transaction of its own: either all of a key's events are applied now and leave the table, or
they stay as they are. What came in the meantime is among them, because it was held.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from kompensa_cdc.events import Headers, Poison
from kompensa_cdc.replicas.apply import Writer
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_cdc.replicas.statements import statements
from kompensa_cdc.replicas.table import read_table
from kompensa_cdc.replicas.target import connect


@dataclass(frozen=True)
class Retried:
    """`applied` keys are free again; `refused` ones stay parked, each with the reason of its first bad event."""

    applied: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True)
class ParkedRecord:
    """A parked event in the form of the record it came from."""

    topic_: str
    partition_: int
    offset_: int
    key_: str
    headers_: Headers
    payload: str | None

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def key(self) -> str:
        return self.key_

    def value(self) -> str | None:
        return self.payload

    def headers(self) -> Headers:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)


async def retry_parked(spec: ReplicaSpec, *, database_url: str, key: str | None = None) -> Retried:
    """Try the parked events of one key, or of all, by the Replica as it is declared now."""
    books = Bookkeeping(spec.target.schema_name, spec.replica)
    applied: list[str] = []
    refused: dict[str, str] = {}
    async with await connect(database_url) as connection:
        await books.create_tables(connection)
        table = await read_table(connection, spec.target)
        writer = Writer(books, statements(spec, table, books), may_stage=False)
        prepare = preparer(spec, table)
        for parked_key in [key] if key else await _parked_keys(connection, books):
            async with connection.transaction():
                await books.lock(connection, alone=True)
                items = [prepare(record) for record in await _records(connection, books, parked_key)]
                reason = await _apply(connection, writer, items)
                if reason is None:
                    await _free(connection, books, parked_key)
            if reason is None:
                applied.append(parked_key)
            else:
                refused[parked_key] = reason
    return Retried(tuple(applied), refused)


async def _apply(connection: AsyncConnection, writer: Writer, items: Sequence[Change | Poison]) -> str | None:
    """Write one key's events; return why not, or None when they are written."""
    for item in items:
        if isinstance(item, Poison):
            return item.error
    return await writer.write_freed(connection, [item for item in items if isinstance(item, Change)])


async def _parked_keys(connection: AsyncConnection, books: Bookkeeping) -> list[str]:
    rows = await connection.execute(
        books.compose("SELECT DISTINCT key FROM {parked} WHERE replica = %s ORDER BY key"), (books.replica,)
    )
    return [key async for (key,) in rows]


async def _records(connection: AsyncConnection, books: Bookkeeping, key: str) -> list[ParkedRecord]:
    rows = await connection.execute(
        books.compose(
            """SELECT topic, partition, record_offset, key, headers, payload FROM {parked}
                WHERE replica = %s AND key = %s ORDER BY aggregate_version, position"""
        ),
        (books.replica, key),
    )
    return [ParkedRecord(*row) async for row in rows]


async def _free(connection: AsyncConnection, books: Bookkeeping, key: str) -> None:
    await connection.execute(
        books.compose("DELETE FROM {parked} WHERE replica = %s AND key = %s"), (books.replica, key)
    )
