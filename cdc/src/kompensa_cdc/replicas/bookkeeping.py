"""The replica's own tables, in the target's schema: offsets, tombstones, parked events.

The first worker creates them, with the consuming service's credentials; all Replicas of the schema share them. The
offsets are committed together with the rows, so that each event has its effect once. Kafka's own offsets are only for
tools that show the lag.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, sql

OFFSETS = "kompensa_replica_offsets"
TOMBSTONES = "kompensa_replica_tombstones"
PARKED = "kompensa_replica_parked"

_DDL = (
    """CREATE TABLE IF NOT EXISTS {offsets} (
         replica text NOT NULL, topic text NOT NULL, partition integer NOT NULL,
         next_offset bigint NOT NULL, epoch bigint NOT NULL, applied bigint NOT NULL DEFAULT 0,
         updated_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (replica, topic, partition))""",
    """CREATE TABLE IF NOT EXISTS {tombstones} (
         replica text NOT NULL, key text NOT NULL, version bigint NOT NULL, deleted_at timestamptz NOT NULL,
         state_version bigint NOT NULL DEFAULT 0,
         PRIMARY KEY (replica, key))""",
    """CREATE TABLE IF NOT EXISTS {parked} (
         replica text NOT NULL, key text NOT NULL, position bigint GENERATED ALWAYS AS IDENTITY,
         topic text NOT NULL, partition integer NOT NULL, record_offset bigint NOT NULL,
         aggregate_version bigint NOT NULL, headers jsonb NOT NULL, payload text, error text NOT NULL,
         parked_at timestamptz NOT NULL DEFAULT now(),
         PRIMARY KEY (replica, topic, partition, record_offset))""",
    "CREATE INDEX IF NOT EXISTS kompensa_replica_parked_by_key ON {parked} (replica, key, aggregate_version)",
)
Partition = tuple[str, int]  # topic, partition


class FencedError(Exception):
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


@dataclass(frozen=True)
class Bookkeeping:
    """Statements over one schema's bookkeeping, for one replica."""

    schema_name: str
    replica: str

    def compose(self, text: str) -> sql.Composed:
        """Put the quoted names of our three tables into a statement."""
        return sql.SQL(text).format(
            offsets=sql.Identifier(self.schema_name, OFFSETS),
            tombstones=sql.Identifier(self.schema_name, TOMBSTONES),
            parked=sql.Identifier(self.schema_name, PARKED),
        )

    async def create_tables(self, connection: AsyncConnection) -> None:
        """Create the missing tables. The lock keeps two workers from colliding in the catalog."""
        found = await connection.execute("SELECT to_regclass(%s)", (f'"{self.schema_name}".{PARKED}',))
        if await found.fetchone() != (None,):
            return
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext('kompensa replica bookkeeping'))")
            for statement in _DDL:
                await connection.execute(self.compose(statement))

    async def claim(self, connection: AsyncConnection, partitions: Sequence[Partition]) -> dict[Partition, Claim]:
        """Take partitions over, each under a new epoch, so that the previous owner cannot write any more."""
        rows = await connection.execute(
            self.compose(
                """INSERT INTO {offsets} AS o (replica, topic, partition, next_offset, epoch)
                   SELECT %s, p.topic, p.partition, 0, 1 FROM unnest(%s::text[], %s::int[]) AS p (topic, partition)
                    ORDER BY 2, 3
                   ON CONFLICT (replica, topic, partition) DO UPDATE SET epoch = o.epoch + 1, updated_at = now()
                   RETURNING o.topic, o.partition, o.next_offset, o.epoch, o.applied"""
            ),
            (self.replica, [topic for topic, _ in partitions], [partition for _, partition in partitions]),
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
                    WHERE o.replica = %s AND o.topic = m.topic AND o.partition = m.partition
                      AND o.next_offset = m.start AND o.epoch = m.epoch"""
            ),
            (
                [move.topic for move in moves],
                [move.partition for move in moves],
                [move.start for move in moves],
                [move.next_offset for move in moves],
                [move.epoch for move in moves],
                [move.records for move in moves],
                self.replica,
            ),
        )
        if cursor.rowcount != len(moves):
            raise FencedError(
                f"{len(moves) - cursor.rowcount} of {len(moves)} partitions of replica {self.replica} are no longer "
                "ours: another worker took them over, or they were rewound"
            )

    async def offsets(self, connection: AsyncConnection) -> dict[Partition, int]:
        """Return the next offset of each partition of the replica, including those that other workers hold."""
        rows = await connection.execute(
            self.compose("SELECT topic, partition, next_offset FROM {offsets} WHERE replica = %s"), (self.replica,)
        )
        return {(topic, partition): next_offset async for topic, partition, next_offset in rows}

    async def rewind(self, connection: AsyncConnection) -> int:
        """Set every stored offset of the replica to the beginning, under a new epoch; return how many there were."""
        cursor = await connection.execute(
            self.compose(
                """UPDATE {offsets} SET next_offset = 0, applied = 0, epoch = epoch + 1, updated_at = now()
                    WHERE replica = %s"""
            ),
            (self.replica,),
        )
        return cursor.rowcount

    async def lock(self, connection: AsyncConnection, *, alone: bool) -> None:
        """Keep batches with deletions (`alone`) apart from all others of the replica, until the transaction ends.

        A deletion looks for the row, and a state looks for a tombstone. If two workers do both at the same time,
        neither sees the other's, and a row that should be deleted stays.
        """
        shared = "" if alone else "_shared"
        await connection.execute(
            sql.SQL(f"SELECT pg_advisory_xact_lock{shared}(hashtext('kompensa replica'), hashtext(%s))"),
            (self.replica,),
        )
