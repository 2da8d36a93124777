"""The one statement of the hot path: a batch of first and later writes, fenced by the lease, in one round trip.

The statement is its own transaction, so an engine that is paused in the middle of it holds no lock: the server ends
it alone. `FOR SHARE` on the lease row orders it against a take-over, which deletes or rewrites that row: either the
take-over waits for this commit and then reads its rows, or this commit finds no lease and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kompensa.journal.errors import StaleLeaseError
from kompensa.journal.group_commit import Write
from kompensa.journal.postgres.link import Link
from kompensa.journal.records import Acceptance, Lease, Transition

_COMMIT = """
WITH lease AS MATERIALIZED (
    SELECT epoch FROM engines WHERE name = $1 AND epoch = $2 FOR SHARE
), started AS (
    INSERT INTO sagas (id, namespace, definition, idempotency_key, object_uid, shard, version, phase, settled,
                       created_at, finished_at, expires_at, origin, state, epoch)
    SELECT i.id, i.namespace, i.definition, i.idempotency_key, i.object_uid, i.shard, i.version, i.phase, i.settled,
           to_timestamp(i.created_at), to_timestamp(i.finished_at), to_timestamp(i.expires_at), i.origin, i.state,
           lease.epoch
    FROM lease, unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::int[], $9::int[], $10::text[],
                       $11::bool[], $12::float8[], $13::float8[], $14::float8[], $15::json[], $16::json[])
         AS i(id, namespace, definition, idempotency_key, object_uid, shard, version, phase, settled,
              created_at, finished_at, expires_at, origin, state)
    ON CONFLICT DO NOTHING
    RETURNING id
), moved AS (
    UPDATE sagas AS s
    SET version = u.version, epoch = lease.epoch, phase = u.phase, settled = u.settled,
        finished_at = to_timestamp(u.finished_at), expires_at = to_timestamp(u.expires_at), state = u.state
    FROM lease, unnest($18::uuid[], $19::int[], $20::text[], $21::bool[], $22::float8[], $23::float8[], $24::json[])
         AS u(id, version, phase, settled, finished_at, expires_at, state)
    WHERE s.id = u.id AND s.version < u.version
    RETURNING s.id
), logged AS (
    INSERT INTO saga_log (saga_id, version, epoch, entries)
    SELECT l.id, l.version, lease.epoch, l.entries
    FROM lease, unnest($3::uuid[] || $18::uuid[], $9::int[] || $19::int[], $17::json[] || $25::json[])
         AS l(id, version, entries)
    WHERE l.id IN (SELECT id FROM started UNION ALL SELECT id FROM moved)
), answered AS (
    DELETE FROM signals USING lease WHERE signals.id = ANY ($26::bigint[])
)
SELECT EXISTS (SELECT FROM lease) AS held,
       (SELECT array_agg(id::text) FROM started) AS started,
       (SELECT array_agg(id::text) FROM moved) AS moved
"""

_VERSIONS = "SELECT id::text, version FROM sagas WHERE id = ANY ($1::uuid[]) AND epoch = $2"


class PostgresWriter:
    """Writes batches under one lease."""

    def __init__(self, link: Link, lease: Lease) -> None:
        self._link = link
        self._lease = lease

    async def write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        """See `BatchWriter`."""
        first = [write for write in batch if isinstance(write, Acceptance)]
        later = [write for write in batch if isinstance(write, Transition)]
        async with self._link.lent() as connection:
            row = await connection.fetchrow(
                _COMMIT, self._lease.engine, self._lease.epoch, *_first_columns(first), *_later_columns(later)
            )
            if not row["held"]:
                raise StaleLeaseError(f"engine {self._lease.engine} no longer holds epoch {self._lease.epoch}")
            written = {*(row["started"] or ()), *(row["moved"] or ())}
            versions = {write.row.id: write.row.version for write in first} | {w.id: w.version for w in later}
            missing = versions.keys() - written
            if repeated and missing:
                found = await connection.fetch(_VERSIONS, list(missing), self._lease.epoch)
                missing -= {entry["id"] for entry in found if entry["version"] == versions[entry["id"]]}
        return frozenset(missing)


def _first_columns(writes: list[Acceptance]) -> tuple[list[Any], ...]:
    rows = [write.row for write in writes]
    return (
        [row.id for row in rows],
        [row.namespace for row in rows],
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
        [signal for write in writes for signal in write.signals],
    )
