"""The replica's own tables, in the target's schema: offsets, tombstones, parked events.

The first worker creates them, with the consuming service's credentials; all Replicas of the schema share them. The
offsets are committed together with the rows, so that each event has its effect once. Kafka's own offsets are only for
tools that show the lag.
"""

from dataclasses import dataclass

from psycopg import AsyncConnection, sql

from kompensa_consumer import OffsetTable

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


@dataclass(frozen=True)
class Bookkeeping:
    """Statements over one schema's bookkeeping, for one replica."""

    schema_name: str
    replica: str

    @property
    def offsets(self) -> OffsetTable:
        return OffsetTable(schema=self.schema_name, table=OFFSETS, column="replica", consumer=self.replica)

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
