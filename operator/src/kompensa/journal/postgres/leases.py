"""Leases and the owners of shards, in four short transactions.

All of them take one advisory lock: they are rare (each engine once a second or two), and ownership that changes in
one order only needs no further argument. An engine whose lease has ended is fenced by deleting its row, which the
commit statement locks; only then are its shards anyone else's. Prolonging a lease changes neither its name nor its
epoch and waits for no commit.

An engine that waits here holds up every other engine, so none waits long: a short lock time-out ends the wait, and the
engine tries again while its lease still holds.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kompensa.journal.errors import NameTakenError, StaleLeaseError
from kompensa.journal.postgres.connections import ConnectionPool
from kompensa.journal.records import Grant, Lease

_ORDER = "SET LOCAL lock_timeout = '1s'; SELECT pg_advisory_xact_lock(7081952114)"
# A new epoch under an old name does not change the key: without this, it would not wait for commits under way.
_SEIZE = "SELECT FROM engines WHERE name = $1 FOR UPDATE"

# $3: the epoch we had (0 for none). $4: whether the present holder of our name can only be our own earlier process.
_ENTER = """
INSERT INTO engines (name, epoch, expires_at)
VALUES ($1, nextval('lease_epoch'), now() + make_interval(secs => $2))
ON CONFLICT (name) DO UPDATE
SET epoch = excluded.epoch, expires_at = excluded.expires_at, started_at = now()
WHERE $4 OR engines.epoch = $3 OR engines.expires_at < now()
RETURNING epoch
"""
_PROLONG = "UPDATE engines SET expires_at = now() + make_interval(secs => $3) WHERE name = $1 AND epoch = $2"
_FENCE = "DELETE FROM engines WHERE expires_at < now() AND name <> $1 RETURNING name"
_ORPHAN = "UPDATE shards SET engine = NULL WHERE engine NOT IN (SELECT name FROM engines)"
_FAIR = """
SELECT ceil(count(*)::float8 / (SELECT count(*) FROM engines))::int AS fair,
       count(*) FILTER (WHERE engine = $1)::int AS held
FROM shards
"""
_TAKE = """
UPDATE shards SET engine = $1
WHERE shard IN (SELECT shard FROM shards WHERE engine IS NULL ORDER BY shard LIMIT $2)
RETURNING shard
"""
_HELD = "SELECT shard FROM shards WHERE engine = $1"
_GIVE = """
UPDATE shards SET engine = NULL
WHERE engine = $1 AND shard = ANY ($3::int[]) AND EXISTS (SELECT FROM engines WHERE name = $1 AND epoch = $2)
"""
_GIVE_ALL = """
UPDATE shards SET engine = NULL
WHERE engine = $1 AND EXISTS (SELECT FROM engines WHERE name = $1 AND epoch = $2)
"""
_LEAVE = "DELETE FROM engines WHERE name = $1 AND epoch = $2"
_TELL = "SELECT pg_notify('kompensa', 'shards')"


class PostgresLeases:
    """The `Leases` part of the journal."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def join(self, engine: str, *, ttl: float, previous: Lease | None) -> Grant:
        """See `Leases.join`."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_ORDER)
            await connection.execute(_SEIZE, engine)
            former = previous.epoch if previous else 0
            epoch = await connection.fetchval(_ENTER, engine, ttl, former, previous is None)
            if epoch is None:
                raise NameTakenError(
                    f"another engine runs under the name {engine}; give each its own (KOMPENSA_ENGINE_NAME), "
                    "by default the host's name"
                )
            grant = await _grant(connection, Lease(engine, epoch), joined=True)
            await connection.execute(_TELL)  # so that others give up its part at once, and not at their next renewal
            return grant

    async def renew(self, lease: Lease, *, ttl: float) -> Grant:
        """See `Leases.renew`."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_ORDER)
            status = await connection.execute(_PROLONG, lease.engine, lease.epoch, ttl)
            if status == "UPDATE 0":
                raise StaleLeaseError(f"engine {lease.engine} no longer holds epoch {lease.epoch}")
            return await _grant(connection, lease, joined=False)

    async def release(self, lease: Lease, shards: Collection[int]) -> None:
        """See `Leases.release`."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_ORDER)
            await connection.execute(_GIVE, lease.engine, lease.epoch, list(shards))
            await connection.execute(_TELL)

    async def leave(self, lease: Lease) -> None:
        """See `Leases.leave`."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_ORDER)
            await connection.execute(_GIVE_ALL, lease.engine, lease.epoch)
            await connection.execute(_LEAVE, lease.engine, lease.epoch)
            await connection.execute(_TELL)


async def _grant(connection: Any, lease: Lease, *, joined: bool) -> Grant:
    """Fence overdue engines, take free shards up to the fair part, and return what we hold."""
    fenced = await connection.fetch(_FENCE, lease.engine)
    await connection.execute(_ORPHAN)
    count = await connection.fetchrow(_FAIR, lease.engine)
    room = max(0, count["fair"] - count["held"])
    taken = await connection.fetch(_TAKE, lease.engine, room) if room else []
    shards = frozenset(row["shard"] for row in await connection.fetch(_HELD, lease.engine))
    return Grant(
        lease=lease,
        shards=shards,
        gained=shards if joined else frozenset(row["shard"] for row in taken),
        surplus=max(0, len(shards) - count["fair"]),
        fenced=tuple(row["name"] for row in fenced),
    )
