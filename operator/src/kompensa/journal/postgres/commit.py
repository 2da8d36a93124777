"""The one statement of the hot path: a batch of first and later writes, fenced by the lease, in one round trip.

The statement is its own transaction, so an engine that is paused in the middle of it holds no lock: the server ends
it alone. `FOR KEY SHARE` on the lease row orders it against a take-over, which deletes that row or first locks it
`FOR UPDATE`. Either the take-over waits for this commit and then reads its rows, or this commit finds no lease and
writes nothing. Foreign keys hold their rows by the same lock, so it also holds every newer version of the row. It is
the only lock that does not make a prolongation of the lease wait for a commit that waits itself.

Within a lease, shards are handed over: only the owner of its shard writes a saga, and a saga that has ended stays as it
is. If another session has locked a saga's row, the commit waits briefly; then it reports which sagas are locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import asyncpg

from kompensa.journal.errors import JournalUnavailableError, SagasLockedError, StaleLeaseError
from kompensa.journal.group_commit import Write
from kompensa.journal.postgres.connections import ConnectionPool, numbered
from kompensa.journal.records import Acceptance, Lease, Transition

_FIRST_TYPES = (
    *("uuid", "text", "text", "text", "text", "uuid", "int", "int", "text", "bool"),
    *("float8", "float8", "float8", "json", "json", "json"),
)
_LATER_TYPES = ("uuid", "int", "text", "bool", "float8", "float8", "json", "json")

_LEASE = """
lease AS MATERIALIZED (
    SELECT name, epoch FROM engines WHERE name = ? AND epoch = ? FOR KEY SHARE
)"""
_STARTED = """
coming AS MATERIALIZED (
    SELECT * FROM {rows}
         AS i(id, namespace, name, definition, idempotency_key, object_uid, shard, version, phase, settled,
              created_at, finished_at, expires_at, origin, state, entries)
), started AS (
    INSERT INTO sagas (id, namespace, name, definition, idempotency_key, object_uid, shard, version, phase, settled,
                       created_at, finished_at, expires_at, origin, state, epoch)
    SELECT i.id, i.namespace, i.name, i.definition, i.idempotency_key, i.object_uid, i.shard, i.version, i.phase,
           i.settled, to_timestamp(i.created_at), to_timestamp(i.finished_at), to_timestamp(i.expires_at), i.origin,
           i.state, lease.epoch
    FROM lease, coming AS i
    ON CONFLICT DO NOTHING
    RETURNING id
), started_log AS (
    INSERT INTO saga_log (saga_id, version, epoch, entries)
    SELECT i.id, i.version, lease.epoch, i.entries FROM lease, coming AS i JOIN started USING (id)
)"""
_MOVED = """
going AS MATERIALIZED (
    SELECT * FROM {rows}
         AS u(id, version, phase, settled, finished_at, expires_at, state, entries)
), moved AS (
    UPDATE sagas AS s
    SET version = u.version, epoch = lease.epoch, phase = u.phase, settled = u.settled,
        finished_at = to_timestamp(u.finished_at), expires_at = to_timestamp(u.expires_at), state = u.state
    FROM lease, going AS u
    WHERE s.id = u.id AND s.version < u.version AND (s.finished_at IS NULL OR s.phase = u.phase)
      AND EXISTS (SELECT FROM shards WHERE shards.shard = s.shard AND shards.engine = lease.name)
    RETURNING s.id
), moved_log AS (
    INSERT INTO saga_log (saga_id, version, epoch, entries)
    SELECT u.id, u.version, lease.epoch, u.entries FROM lease, going AS u JOIN moved USING (id)
)"""
_ANSWERED = """
answered AS (
    DELETE FROM signals USING lease WHERE signals.id = ANY (?::bigint[])
)"""
_ANSWER = """
SELECT EXISTS (SELECT FROM lease) AS held"""


@lru_cache(maxsize=32)
def _statement(*, first: int, later: int, signals: bool) -> str:
    """Build the statement from the parts that this batch needs.

    Unused parts, and arrays for one row, would cost a single saga a third of its commit.

    `first` and `later` say how many rows there are: 0, 1, or 2 for more.
    """
    parts = [_LEASE]
    if first:
        parts.append(_STARTED.format(rows=_rows(_FIRST_TYPES, first)))
    if later:
        parts.append(_MOVED.format(rows=_rows(_LATER_TYPES, later)))
    if signals:
        parts.append(_ANSWERED)
    written = ["SELECT id FROM started"] * bool(first) + ["SELECT id FROM moved"] * bool(later)
    ids = f", ARRAY(SELECT id::text FROM ({' UNION ALL '.join(written)}) AS w) AS written"
    return numbered(f"WITH {', '.join(parts)}{_ANSWER}{ids}")


def _rows(types: Sequence[str], count: int) -> str:
    if count == 1:
        return f"(VALUES ({', '.join(f'?::{kind}' for kind in types)}))"
    return f"unnest({', '.join(f'?::{kind}[]' for kind in types)})"


_VERSIONS = "SELECT id::text, version FROM sagas WHERE id = ANY ($1::uuid[]) AND epoch = $2"
# The whole batch waits as long as one of its sagas does, so the wait is short.
_SET_LOCK_TIMEOUT = "SET lock_timeout = '500ms'"
_LOCKED = """
WITH free AS MATERIALIZED (
    SELECT id FROM sagas WHERE id = ANY ($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED
)
SELECT id::text FROM sagas WHERE id = ANY ($1::uuid[]) AND id NOT IN (SELECT id FROM free)
"""


class PostgresWriter:
    """Writes batches under one lease."""

    def __init__(self, pool: ConnectionPool, lease: Lease) -> None:
        self._pool = pool
        self._lease = lease
        self._prepared: Any = None

    async def write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        """See `BatchWriter`."""
        if repeated:
            await self._refuse_locked(batch)  # without waiting: it was locked a moment ago
        try:
            return await self._write(batch, repeated=repeated)
        except JournalUnavailableError as error:
            if isinstance(error.__cause__, asyncpg.LockNotAvailableError):
                await self._refuse_locked(batch)
            raise

    async def _refuse_locked(self, batch: Sequence[Write]) -> None:
        later = [write.id for write in batch if isinstance(write, Transition)]
        async with self._pool.connection() as connection:
            found = await connection.fetch(_LOCKED, later)
        if found:
            raise SagasLockedError(frozenset(row["id"] for row in found))

    async def _write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        first = [write for write in batch if isinstance(write, Acceptance)]
        later = [write for write in batch if isinstance(write, Transition)]
        signals = [signal for write in later for signal in write.signals]
        statement = _statement(first=min(len(first), 2), later=min(len(later), 2), signals=bool(signals))
        columns = [*_given(_first_columns(first)), *_given(_later_columns(later))]
        if signals:
            columns.append(signals)
        async with self._pool.connection() as connection:
            if connection is not self._prepared:
                await connection.execute(_SET_LOCK_TIMEOUT)
                self._prepared = connection
            row = await connection.fetchrow(statement, self._lease.engine, self._lease.epoch, *columns)
            if not row["held"]:
                raise StaleLeaseError(f"engine {self._lease.engine} no longer holds epoch {self._lease.epoch}")
            written = row["written"]
            versions = {write.row.id: write.row.version for write in first} | {w.id: w.version for w in later}
            missing = versions.keys() - set(written)
            if repeated and missing:
                found = await connection.fetch(_VERSIONS, list(missing), self._lease.epoch)
                missing -= {entry["id"] for entry in found if entry["version"] == versions[entry["id"]]}
        return frozenset(missing)


def _given(columns: tuple[list[Any], ...]) -> list[Any]:
    """The arguments that `_rows` takes: none, one row's values, or a list for each column."""
    match len(columns[0]):
        case 0:
            return []
        case 1:
            return [column[0] for column in columns]
        case _:
            return list(columns)


def _first_columns(writes: list[Acceptance]) -> tuple[list[Any], ...]:
    rows = [write.row for write in writes]
    return (
        [row.id for row in rows],
        [row.namespace for row in rows],
        [row.name for row in rows],
        [row.definition for row in rows],
        [row.idempotency_key for row in rows],
        [row.object_uid for row in rows],
        [row.shard for row in rows],
        [row.version for row in rows],
        [row.phase for row in rows],
        [row.settled for row in rows],
        [row.created_at for row in rows],
        [row.finished_at for row in rows],
        [row.expires_at for row in rows],
        [row.origin for row in rows],
        [row.state for row in rows],
        [write.log for write in writes],
    )


def _later_columns(writes: list[Transition]) -> tuple[list[Any], ...]:
    return (
        [write.id for write in writes],
        [write.version for write in writes],
        [write.phase for write in writes],
        [write.settled for write in writes],
        [write.finished_at for write in writes],
        [write.expires_at for write in writes],
        [write.state for write in writes],
        [write.log for write in writes],
    )
