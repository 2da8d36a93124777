"""Participants and definitions: few rows, rarely written, kept in every engine's memory."""

from __future__ import annotations

from kompensa.journal.postgres.connections import ConnectionPool
from kompensa.journal.records import DefinitionRow, ParticipantRow

_TELL = "SELECT pg_notify('kompensa', 'catalogue')"
_PARTICIPANTS = """
SELECT namespace, name, spec, token, object_uid::text FROM participants ORDER BY namespace, name
"""
_PUT_PARTICIPANT = """
INSERT INTO participants (namespace, name, spec, token, object_uid) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (namespace, name) DO UPDATE
SET spec = excluded.spec, token = excluded.token, object_uid = excluded.object_uid, updated_at = now()
"""
_DELETE_PARTICIPANT = """
DELETE FROM participants WHERE namespace = $1 AND name = $2 AND ($3::uuid IS NULL OR object_uid = $3)
"""
_DEFINITIONS = """
SELECT namespace, name, revision, spec, current, object_uid::text FROM definitions
WHERE current ORDER BY namespace, name
"""
_DEFINITION = """
SELECT namespace, name, revision, spec, current, object_uid::text FROM definitions
WHERE namespace = $1 AND name = $2 AND revision = $3
"""
_RETIRE = """
UPDATE definitions SET current = false
WHERE namespace = $1 AND name = $2 AND current AND ($3::uuid IS NULL OR object_uid = $3)
"""
_SUPERSEDE = """
UPDATE definitions SET current = false
WHERE namespace = $1 AND name = $2 AND current AND revision = $3 AND object_uid IS NOT DISTINCT FROM $4::uuid
"""
_PUT_DEFINITION = """
INSERT INTO definitions (namespace, name, revision, spec, current, object_uid) VALUES ($1, $2, $3, $4, true, $5)
ON CONFLICT (namespace, name, revision) DO UPDATE SET current = true, object_uid = excluded.object_uid
"""


class PostgresCatalogue:
    """The `Catalogue` part of the journal."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def participants(self) -> list[ParticipantRow]:
        """See `Catalogue.participants`."""
        async with self._pool.connection() as connection:
            return [ParticipantRow(**row) for row in await connection.fetch(_PARTICIPANTS)]

    async def put_participant(self, row: ParticipantRow) -> None:
        """See `Catalogue.put_participant`."""
        async with self._pool.connection() as connection, connection.transaction():
            await connection.execute(_PUT_PARTICIPANT, row.namespace, row.name, row.spec, row.token, row.object_uid)
            await connection.execute(_TELL)

    async def delete_participant(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool:
        """See `Catalogue.delete_participant`."""
        async with self._pool.connection() as connection, connection.transaction():
            status = await connection.execute(_DELETE_PARTICIPANT, namespace, name, object_uid)
            await connection.execute(_TELL)
            return bool(status != "DELETE 0")

    async def definitions(self) -> list[DefinitionRow]:
        """See `Catalogue.definitions`."""
        async with self._pool.connection() as connection:
            return [DefinitionRow(**row) for row in await connection.fetch(_DEFINITIONS)]

    async def definition(self, namespace: str, name: str, revision: str) -> DefinitionRow | None:
        """See `Catalogue.definition`."""
        async with self._pool.connection() as connection:
            row = await connection.fetchrow(_DEFINITION, namespace, name, revision)
            return None if row is None else DefinitionRow(**row)

    async def put_definition(self, row: DefinitionRow, *, instead_of: str | None = None) -> bool:
        """See `Catalogue.put_definition`."""
        async with self._pool.connection() as connection, connection.transaction():
            if instead_of is None:
                await connection.execute(_RETIRE, row.namespace, row.name, None)
            else:
                status = await connection.execute(_SUPERSEDE, row.namespace, row.name, instead_of, row.object_uid)
                if status == "UPDATE 0":
                    return False
            await connection.execute(_PUT_DEFINITION, row.namespace, row.name, row.revision, row.spec, row.object_uid)
            await connection.execute(_TELL)
            return True

    async def delete_definition(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool:
        """See `Catalogue.delete_definition`."""
        async with self._pool.connection() as connection, connection.transaction():
            status = await connection.execute(_RETIRE, namespace, name, object_uid)
            await connection.execute(_TELL)
            return bool(status != "UPDATE 0")
