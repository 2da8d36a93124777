"""Reading sagas, and deleting those whose time is over. Nothing here is on the hot path."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kompensa.journal.group_commit import BatchWriter
from kompensa.journal.postgres.commit import PostgresWriter
from kompensa.journal.postgres.link import Link
from kompensa.journal.records import Lease, LogRow, SagaFilter, SagaRow

_COLUMNS = """
id::text, namespace, name, definition, idempotency_key, object_uid::text, shard, epoch, version, phase, settled,
extract(epoch FROM created_at)::float8 AS created_at, extract(epoch FROM finished_at)::float8 AS finished_at,
extract(epoch FROM expires_at)::float8 AS expires_at, origin, state
"""
_FIND = f"SELECT {_COLUMNS} FROM sagas WHERE id = $1"
_FIND_BY_KEY = f"SELECT {_COLUMNS} FROM sagas WHERE namespace = $1 AND definition = $2 AND idempotency_key = $3"
_UNSETTLED = f"""
SELECT {_COLUMNS} FROM sagas
WHERE NOT settled AND shard = ANY ($1::int[]) AND ($2::uuid IS NULL OR sagas.id > $2) ORDER BY sagas.id LIMIT $3
"""
_LIST = f"""
SELECT {_COLUMNS} FROM sagas
WHERE ($1::text IS NULL OR namespace = $1)
  AND ($2::text IS NULL OR phase = $2)
  AND ($3::text IS NULL OR definition = $3)
  AND ($4::bool IS NULL OR (object_uid IS NOT NULL) = $4)
  AND ($5::bool IS NULL OR (finished_at IS NULL) = $5)
  AND ($6::text IS NULL OR name = $6)
  AND ($7::uuid IS NULL OR (sagas.created_at, sagas.id) < (SELECT a.created_at, a.id FROM sagas AS a WHERE a.id = $7))
ORDER BY sagas.created_at DESC, sagas.id DESC LIMIT $8
"""
_LOG = "SELECT version, epoch, entries FROM saga_log WHERE saga_id = $1 ORDER BY version"
_PARKED = "SELECT count(*) FROM sagas WHERE phase = 'InterventionRequired' AND shard = ANY ($1::int[])"
_PRUNE = """
WITH over AS (
    SELECT id FROM sagas WHERE settled AND expires_at < now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
), logs AS (
    DELETE FROM saga_log USING over WHERE saga_id = over.id
), gone AS (
    DELETE FROM sagas USING over WHERE sagas.id = over.id RETURNING sagas.id
)
SELECT count(*) FROM gone
"""


class PostgresSagas:
    """The `Sagas` part of the journal: writes by `commits`, reads by `reads`."""

    def __init__(self, *, commits: Link, reads: Link) -> None:
        self._commits = commits
        self._link = reads

    def writer(self, lease: Lease) -> BatchWriter:
        """See `Sagas.writer`."""
        return PostgresWriter(self._commits, lease)

    async def unsettled(self, shards: Collection[int], *, after: str | None, limit: int) -> list[SagaRow]:
        """See `Sagas.unsettled`."""
        return await self._rows(_UNSETTLED, list(shards), after, limit)

    async def find(self, saga_id: str) -> SagaRow | None:
        """See `Sagas.find`."""
        return next(iter(await self._rows(_FIND, saga_id)), None)

    async def find_by_key(self, namespace: str, definition: str, idempotency_key: str) -> SagaRow | None:
        """See `Sagas.find_by_key`."""
        return next(iter(await self._rows(_FIND_BY_KEY, namespace, definition, idempotency_key)), None)

    async def page(self, wanted: SagaFilter) -> list[SagaRow]:
        """See `Sagas.page`."""
        of_object = None if wanted.source is None else wanted.source == "object"
        return await self._rows(
            _LIST,
            wanted.namespace,
            wanted.phase,
            wanted.definition,
            of_object,
            wanted.active,
            wanted.name,
            wanted.after,
            wanted.limit,
        )

    async def log(self, saga_id: str) -> list[LogRow]:
        """See `Sagas.log`."""
        async with self._link.lent() as connection:
            return [LogRow(*row) for row in await connection.fetch(_LOG, saga_id)]

    async def parked(self, shards: Collection[int]) -> int:
        """See `Sagas.parked`."""
        async with self._link.lent() as connection:
            return int(await connection.fetchval(_PARKED, list(shards)))

    async def prune(self, *, limit: int) -> int:
        """See `Sagas.prune`."""
        async with self._link.lent() as connection:
            return int(await connection.fetchval(_PRUNE, limit))

    async def _rows(self, statement: str, *arguments: Any) -> list[SagaRow]:
        async with self._link.lent() as connection:
            return [SagaRow(**row) for row in await connection.fetch(statement, *arguments)]
