"""Requests to sagas: rows, and a notification so that the owner reads them at once."""

from __future__ import annotations

from collections.abc import Collection

from kompensa.journal.postgres.connections import ConnectionPool
from kompensa.journal.records import Signal, SignalKind

_ASK = """
WITH asked AS (INSERT INTO signals (saga_id, kind, reason, generation) VALUES ($1, $2, $3, $4))
SELECT pg_notify('kompensa', 'signals')
"""
_ASKED = """
SELECT g.id, g.saga_id::text, g.kind, g.reason, g.generation FROM signals AS g JOIN sagas AS s ON s.id = g.saga_id
WHERE s.shard = ANY ($1::int[]) AND g.id > $2 ORDER BY g.id LIMIT $3
"""
_WITHDRAW = "DELETE FROM signals WHERE id = ANY ($1::bigint[])"


class PostgresSignals:
    """The `Signals` part of the journal."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def ask(self, saga_id: str, kind: SignalKind, reason: str, *, generation: int | None = None) -> None:
        """See `Signals.ask`."""
        async with self._pool.connection() as connection:
            await connection.execute(_ASK, saga_id, kind, reason, generation)

    async def asked(self, shards: Collection[int], *, after: int = 0, limit: int = 1000) -> list[Signal]:
        """See `Signals.asked`."""
        async with self._pool.connection() as connection:
            return [Signal(*row) for row in await connection.fetch(_ASKED, list(shards), after, limit)]

    async def withdraw(self, ids: Collection[int]) -> None:
        """See `Signals.withdraw`."""
        async with self._pool.connection() as connection:
            await connection.execute(_WITHDRAW, list(ids))
