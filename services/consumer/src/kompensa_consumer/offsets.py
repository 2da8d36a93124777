"""Offsets in the consumer's own database: claimed before a partition is read, moved in each batch's transaction.

A claim raises the partition's epoch. A write compares offset and epoch, so a worker that has lost the partition cannot
write any more, whatever the consumer group believes. Kafka's own offsets are only for tools that show the lag.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, sql

Partition = tuple[str, int]  # topic, partition


class SessionError(Exception):
    """The session cannot go on, but a new one might. The text says what is wrong, and what to do."""


class FencedError(SessionError):
    """Another worker has taken over the partitions, or a user rewound them: records of the old epoch do not count."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A partition held under an epoch. `next_offset` is where to read on, and what the next write compares with."""

    next_offset: int
    epoch: int
    applied: int = 0


@dataclass(frozen=True, kw_only=True)
class Advance:
    """A batch's move over one partition, from `start` to `next_offset`, under `epoch`."""

    topic: str
    partition: int
    start: int
    next_offset: int
    epoch: int
    records: int


@dataclass(frozen=True, kw_only=True)
class OffsetTable:
    """Statements over a table of offsets, for one consumer.

    The table has the columns topic, partition, next_offset, epoch, applied and updated_at, and one that holds the
    consumer's name; its primary key is (that column, topic, partition).

    Attributes
    ----------
    schema, table
        The place of the table.
    column
        The column that holds the consumer's name.
    consumer
        That name.
    """

    schema: str
    table: str
    column: str
    consumer: str

    async def claim(self, connection: AsyncConnection, partitions: Sequence[Partition]) -> dict[Partition, Claim]:
        """Take partitions over, each under a new epoch, so that the previous owner cannot write any more."""
        rows = await connection.execute(
            self.compose(
                """INSERT INTO {offsets} AS o ({consumer}, topic, partition, next_offset, epoch)
                   SELECT %s, p.topic, p.partition, 0, 1 FROM unnest(%s::text[], %s::int[]) AS p (topic, partition)
                    ORDER BY 2, 3
                   ON CONFLICT ({consumer}, topic, partition) DO UPDATE SET epoch = o.epoch + 1, updated_at = now()
                   RETURNING o.topic, o.partition, o.next_offset, o.epoch, o.applied"""
            ),
            (self.consumer, [topic for topic, _ in partitions], [partition for _, partition in partitions]),
        )
        return {
            (topic, partition): Claim(next_offset=next_offset, epoch=epoch, applied=applied)
            async for topic, partition, next_offset, epoch, applied in rows
        }

    async def advance(self, connection: AsyncConnection, moves: Sequence[Advance]) -> None:
        """Move the offsets on, in the caller's transaction: compare-and-set on offset and epoch.

        Raises
        ------
        FencedError
            If another worker has moved or claimed a partition; the caller's transaction must not commit.
        """
        cursor = await connection.execute(
            self.compose(
                """UPDATE {offsets} o
                      SET next_offset = m.next_offset, applied = o.applied + m.records, updated_at = now()
                     FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
                          AS m (topic, partition, start, next_offset, epoch, records)
                    WHERE o.{consumer} = %s AND o.topic = m.topic AND o.partition = m.partition
                      AND o.next_offset = m.start AND o.epoch = m.epoch"""
            ),
            (
                [move.topic for move in moves],
                [move.partition for move in moves],
                [move.start for move in moves],
                [move.next_offset for move in moves],
                [move.epoch for move in moves],
                [move.records for move in moves],
                self.consumer,
            ),
        )
        if cursor.rowcount != len(moves):
            raise FencedError(
                f"{len(moves) - cursor.rowcount} of {len(moves)} partitions of {self.column} {self.consumer} are no "
                "longer ours: another worker took them over, or they were rewound"
            )

    async def stored(self, connection: AsyncConnection) -> dict[Partition, int]:
        """Return the next offset of each partition, including those that other workers hold."""
        rows = await connection.execute(
            self.compose("SELECT topic, partition, next_offset FROM {offsets} WHERE {consumer} = %s"),
            (self.consumer,),
        )
        return {(topic, partition): next_offset async for topic, partition, next_offset in rows}

    async def rewind(self, connection: AsyncConnection) -> int:
        """Set every stored offset to the beginning, under a new epoch; return how many there were."""
        cursor = await connection.execute(
            self.compose(
                """UPDATE {offsets} SET next_offset = 0, applied = 0, epoch = epoch + 1, updated_at = now()
                    WHERE {consumer} = %s"""
            ),
            (self.consumer,),
        )
        return cursor.rowcount

    def compose(self, text: str) -> sql.Composed:
        """Put the quoted names of the table and of the consumer's column into a statement."""
        return sql.SQL(text).format(
            offsets=sql.Identifier(self.schema, self.table), consumer=sql.Identifier(self.column)
        )
