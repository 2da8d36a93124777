"""Reading sagas, and deleting expired ones. Nothing here is on the hot path."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kompensa.journal.group_commit import BatchWriter
from kompensa.journal.postgres.commit import PostgresWriter
from kompensa.journal.postgres.connections import ConnectionPool, numbered
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
_AFTER = "(sagas.created_at, sagas.id) < (SELECT a.created_at, a.id FROM sagas AS a WHERE a.id = ?)"
# A literal in addition to the parameter: a plan made once, for any phase, could not use the index of these few.
_WAITS = "phase = 'InterventionRequired'"
_LIST = f"SELECT {_COLUMNS} FROM sagas WHERE {{conditions}} ORDER BY sagas.created_at DESC, sagas.id DESC LIMIT ?"
_LOG = "SELECT version, epoch, entries FROM saga_log WHERE saga_id = $1 ORDER BY version"
_PARKED = f"SELECT count(*) FROM sagas WHERE {_WAITS} AND shard = ANY ($1::int[])"
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

    def __init__(self, *, commits: ConnectionPool, reads: ConnectionPool) -> None:
        self._commits = commits
        self._pool = reads

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
        statement, arguments = _listing(wanted)
        return await self._rows(statement, *arguments)

    async def log(self, saga_id: str) -> list[LogRow]:
        """See `Sagas.log`."""
        async with self._pool.connection() as connection:
            return [LogRow(*row) for row in await connection.fetch(_LOG, saga_id)]

    async def parked(self, shards: Collection[int]) -> int:
        """See `Sagas.parked`."""
        async with self._pool.connection() as connection:
            return int(await connection.fetchval(_PARKED, list(shards)))

    async def prune(self, *, limit: int) -> int:
        """See `Sagas.prune`."""
        async with self._pool.connection() as connection:
            return int(await connection.fetchval(_PRUNE, limit))

    async def _rows(self, statement: str, *arguments: Any) -> list[SagaRow]:
        async with self._pool.connection() as connection:
            return [SagaRow(**row) for row in await connection.fetch(statement, *arguments)]


def _listing(wanted: SagaFilter) -> tuple[str, list[Any]]:
    """The statement of a page and its arguments. An unneeded condition would keep an index from use."""
    conditions = ["true"]
    arguments: list[Any] = []
    for condition, value in _compared(wanted):
        if value is not None:
            conditions.append(condition)
            arguments.append(value)
    if wanted.phase == "InterventionRequired":
        conditions.append(_WAITS)
    if wanted.source is not None:
        conditions.append(f"object_uid IS {'NOT ' if wanted.source == 'object' else ''}NULL")
    if wanted.active is not None:
        conditions.append(f"finished_at IS {'' if wanted.active else 'NOT '}NULL")
    return numbered(_LIST.format(conditions=" AND ".join(conditions))), [*arguments, wanted.limit]


def _compared(wanted: SagaFilter) -> list[tuple[str, str | None]]:
    return [
        ("namespace = ?", wanted.namespace),
        ("name = ?", wanted.name),
        ("phase = ?", wanted.phase),
        ("definition = ?", wanted.definition),
        (_AFTER, wanted.after),
    ]
