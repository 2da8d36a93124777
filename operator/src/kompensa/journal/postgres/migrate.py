"""Brings the journal's schema to this version.

A runner of forty lines instead of Alembic: the engine speaks asyncpg only, and SQLAlchemy would weigh more than the
journal. Engines that start together queue on an advisory lock; the second one finds nothing to do. Each file
runs in one transaction with the row that records it, so a crash leaves no half-applied file behind. The connection
bounds the wait for a lock, but hardly a statement: a long one that is cut off would begin again at each start and never
end.
"""

from __future__ import annotations

from importlib import resources

import asyncpg

from kompensa.journal.errors import JournalError

# Any constant does, as long as every version of the engine uses the same one.
_LOCK = 7_081_952_113


class JournalTooNewError(JournalError):
    """The database was migrated by a newer version; this one could misread its rows."""


def _files() -> list[tuple[str, str]]:
    folder = resources.files("kompensa.journal.postgres.migrations")
    found = [(entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".sql")]
    return [(name, entry.read_text("utf-8")) for name, entry in sorted(found, key=lambda pair: pair[0])]


async def migrate(connection: asyncpg.Connection) -> list[str]:
    """Apply the missing files and return their names.

    Raises
    ------
    JournalTooNewError
        The database records a migration that this version does not have.
    """
    files = _files()
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        applied = await _applied(connection)
        unknown = sorted(applied - {name for name, _ in files})
        if unknown:
            raise JournalTooNewError(
                f"the journal was migrated by a newer version of kompensa ({', '.join(unknown)} is unknown here); "
                "upgrade this engine, or restore the database from before that upgrade"
            )
        missing = [(name, sql) for name, sql in files if name not in applied]
        for name, sql in missing:
            async with connection.transaction():
                await connection.execute(sql)
                await connection.execute("INSERT INTO kompensa.migrations (name) VALUES ($1)", name)
        return [name for name, _ in missing]
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _applied(connection: asyncpg.Connection) -> set[str]:
    exists = await connection.fetchval("SELECT to_regclass('kompensa.migrations') IS NOT NULL")
    if not exists:
        # CREATE SCHEMA asks for a right on the database that a role in a prepared schema does not have.
        if not await connection.fetchval("SELECT to_regnamespace('kompensa') IS NOT NULL"):
            await connection.execute("CREATE SCHEMA kompensa")
        await connection.execute(
            "CREATE TABLE kompensa.migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
    return {row["name"] for row in await connection.fetch("SELECT name FROM kompensa.migrations")}
