"""The new tables of a rebuild: made like the old ones, filled next to them, then given their names.

A new table gets its keys at once and its other indexes when it is full, because an index is built faster than it is
kept. An index has the name of the old one and a suffix, which it loses with its table. So migrations find it later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from kompensa_eventstore.projections.statements import ProjectionError

SUFFIX = "__next"
LONGEST_NAME = 63 - len(SUFFIX)

_CONSTRAINTS = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
     WHERE conrelid = to_regclass(%s) AND contype IN ('p', 'u', 'x') ORDER BY contype, conname
"""
_INDEXES = """
    SELECT relname, pg_get_indexdef(indexrelid), indisunique
      FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
     WHERE indrelid = to_regclass(%s)
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
     ORDER BY relname
"""
_INDEX_NAMES = (
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = to_regclass(%s)"
)
_COLUMNS = """
    SELECT array_agg((attname, format_type(atttypid, atttypmod), attnotnull)::text ORDER BY attname)
      FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""
_DEPENDANTS = """
    SELECT DISTINCT coalesce(rule.ev_class::regclass::text, fk.conrelid::regclass::text)
      FROM pg_depend
      LEFT JOIN pg_rewrite rule ON classid = 'pg_rewrite'::regclass AND rule.oid = objid
      LEFT JOIN pg_constraint fk
        ON classid = 'pg_constraint'::regclass AND fk.oid = objid AND fk.contype = 'f' AND fk.confrelid = refobjid
     WHERE refobjid = to_regclass(%s) AND (rule.oid IS NOT NULL OR fk.oid IS NOT NULL)
"""
_GRANTS = """
    SELECT privilege_type, is_grantable, CASE WHEN grantee <> 0 THEN grantee::regrole::text END
      FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = to_regclass(%s) AND grantee <> relowner
"""

Connection = AsyncConnection[Any]


class ShadowTable:
    """The new form of one table."""

    def __init__(self, connection: Connection, schema: str, table: str) -> None:
        self._connection = connection
        self._schema = schema
        self._table = table
        self._old = sql.Identifier(schema, table)
        self._new = sql.Identifier(schema, table + SUFFIX)

    async def check(self) -> None:
        """Check that the table can be replaced.

        Raises
        ------
        ProjectionError
            Another object depends on it, or the name of one of its indexes is too long.
        """
        found = ", ".join(str(row[0]) for row in await self._ask(_DEPENDANTS, self._old))
        if found:
            raise ProjectionError(
                f"{found} depends on {self._schema}.{self._table}, which a rebuild replaces; drop it, rebuild, and "
                "create it again"
            )
        names = [self._table, *(name for (name,) in await self._ask(_INDEX_NAMES, self._old))]
        long = [name for name in names if len(name.encode()) > LONGEST_NAME]
        if long:
            raise ProjectionError(f"rename {', '.join(long)}: a rebuild needs names of at most {LONGEST_NAME} bytes")

    async def is_like_old(self) -> bool:
        """Whether there is a new table, with the columns that the old one has now."""
        old, new = await self._ask(_COLUMNS, self._old), await self._ask(_COLUMNS, self._new)
        return old == new

    async def create(self) -> None:
        """Create the new table, empty and with its keys. If there is one from an earlier rebuild, replace it."""
        await self._execute("DROP TABLE IF EXISTS {new}")
        await self._execute("CREATE TABLE {new} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES)")
        for name, definition in await self._ask(_CONSTRAINTS, self._old):
            await self._execute("ALTER TABLE {new} ADD CONSTRAINT {name} " + definition, name=name + SUFFIX)
        for name, definition, is_unique in await self._ask(_INDEXES, self._old):
            if is_unique:
                await self._create_index(name, definition)

    async def create_other_indexes(self) -> None:
        """Create the indexes that the new table does not have yet."""
        present = {name for (name,) in await self._ask(_INDEX_NAMES, self._new)}
        for name, definition, _ in await self._ask(_INDEXES, self._old):
            if name + SUFFIX not in present:
                await self._create_index(name, definition)
        await self._execute("ANALYZE {new}")

    async def replace_old(self) -> None:
        """Drop the old table, and give its name and its grants to the new one."""
        for grant in await self._grants():
            await self._connection.execute(grant)
        await self._execute("DROP TABLE {old}")
        await self._execute("ALTER TABLE {new} RENAME TO {name}", name=self._table)
        for (index,) in await self._ask(_INDEX_NAMES, self._old):
            await self._connection.execute(
                sql.SQL("ALTER INDEX {} RENAME TO {}").format(
                    sql.Identifier(self._schema, index), sql.Identifier(index.removesuffix(SUFFIX))
                )
            )

    async def _create_index(self, name: str, definition: str) -> None:
        """`definition` is that of the old index: CREATE [UNIQUE] INDEX its_name ON its_table USING ..."""
        create, _, rest = definition.partition(" INDEX ")
        method = rest.partition(" USING ")[2]
        await self._execute(f"{create} INDEX {{name}} ON {{new}} USING {method}", name=name + SUFFIX)

    async def _grants(self) -> list[sql.Composed]:
        """Statements that give the new table the same grants as the old one."""
        return [
            sql.SQL("GRANT {} ON {} TO {}{}").format(
                sql.SQL(privilege),
                self._new,
                sql.SQL(role or "PUBLIC"),  # the text of a regrole has quotes if it needs them
                sql.SQL(" WITH GRANT OPTION" if grantable else ""),
            )
            for privilege, grantable, role in await self._ask(_GRANTS, self._old)
        ]

    async def _ask(self, query: str, table: sql.Identifier) -> Sequence[tuple[Any, ...]]:
        async with self._connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query.encode(), (table.as_string(self._connection),))
            return await cursor.fetchall()

    async def _execute(self, statement: str, *, name: str = "") -> None:
        parts = {"old": self._old, "new": self._new, "name": sql.Identifier(name)}
        await self._connection.execute(sql.SQL(statement).format(**parts))
