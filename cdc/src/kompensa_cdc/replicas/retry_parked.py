"""Retry parked events, after the schema, the table or the declaration has been fixed.

Each key is retried in a transaction of its own. Events that fit now are applied, and are deleted from the table of
parked events together with all older ones of their key. An event that still does not fit does not hold up the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from kompensa_cdc.replicas.batch_writer import BatchWriter
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Change, key_of
from kompensa_cdc.replicas.parking import drop_superseded
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_cdc.replicas.table import read_table
from kompensa_consumer import Poison, StoredRecord
from kompensa_consumer.database import connect


@dataclass(frozen=True)
class Retried:
    """Keys that have no parked events any more, and keys that still have some, with the reason of the oldest."""

    applied: tuple[str, ...]
    rejected: dict[str, str]


@dataclass(frozen=True)
class ParkedRecord(StoredRecord):
    """A parked event in the form of the record it came from, and its aggregate's version."""

    version: int


async def retry_parked(spec: ReplicaSpec, *, database_url: str, key: str | None = None) -> Retried:
    """Retry the parked events of one key, or of all, with the Replica as it is declared now."""
    books = Bookkeeping(spec.target.schema_name, spec.replica)
    applied: list[str] = []
    rejected: dict[str, str] = {}
    async with await connect(database_url) as connection:
        await books.create_tables(connection)
        table = await read_table(connection, spec.target)
        writer = BatchWriter.of_table(spec, table, books)
        prepare = preparer(spec, table)
        for parked_key in [key] if key else await _parked_keys(connection, books):
            async with connection.transaction():
                await books.lock(connection, alone=True)
                records = await _records(connection, books, parked_key)
                reasons = await _retry(connection, writer, records, [prepare(record) for record in records])
            if reasons:
                rejected[parked_key] = reasons[0]
            elif records:
                applied.append(parked_key)
    return Retried(tuple(applied), rejected)


async def _retry(
    connection: AsyncConnection, writer: BatchWriter, records: Sequence[ParkedRecord], items: Sequence[Change | Poison]
) -> list[str]:
    """Write one key's events, delete those that are applied or superseded; return why the others stay, oldest first."""
    if not records:
        return []
    settled = await writer.write_parked(connection, items)
    newest = settled.newest[key_of(items[0])]
    # Delete by the key as it was parked: the key column's type, and with it the key's spelling, may have changed.
    await drop_superseded(connection, writer.books, {records[0].key(): newest})
    poison = (*(each.poison for each in settled.waiting), *settled.superseded)
    errors = {each.place: each.error for each in poison}
    return [
        errors[record.topic(), record.partition(), record.offset()] for record in records if record.version > newest
    ]


async def _parked_keys(connection: AsyncConnection, books: Bookkeeping) -> list[str]:
    rows = await connection.execute(
        books.compose("SELECT DISTINCT key FROM {parked} WHERE replica = %s ORDER BY key"), (books.replica,)
    )
    return [key async for (key,) in rows]


async def _records(connection: AsyncConnection, books: Bookkeeping, key: str) -> list[ParkedRecord]:
    rows = await connection.execute(
        books.compose(
            """SELECT topic, partition, record_offset, key, headers, payload,
                      (extract(epoch FROM parked_at) * 1000)::bigint, aggregate_version FROM {parked}
                WHERE replica = %s AND key = %s ORDER BY aggregate_version, position"""
        ),
        (books.replica, key),
    )
    return [ParkedRecord(*row) async for row in rows]
