"""The target table as it is in the database, and whether it can hold the copy that the Replica declares.

Read once a session, so that a wrong table is told in one sentence instead of parking every key.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from kompensa_cdc.replicas.spec import Target

# A domain counts as the type below it, and -1 makes `bpchar` of character(3) and `"bit"` of bit(4), whose bare names
# mean a length of 1. So nothing is cast to a length, which would cut: the table refuses what is too long for it.
_COLUMNS = """
WITH RECURSIVE columns (name, type, required, has_default) AS (
    SELECT a.attname, a.atttypid, a.attnotnull, a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> ''
      FROM pg_attribute a
     WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT c.name, t.typbasetype, c.required OR t.typnotnull, c.has_default OR t.typdefault IS NOT NULL
      FROM columns c JOIN pg_type t ON t.oid = c.type
     WHERE t.typtype = 'd'
)
SELECT c.name, format_type(c.type, -1), c.required, c.has_default
  FROM columns c JOIN pg_type t ON t.oid = c.type
 WHERE t.typtype <> 'd'
"""
_KEY_IS_UNIQUE = """
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
                  AND i.indpred IS NULL AND a.attname = %s)
"""
_MAY_STAGE = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
_BLANKS: Mapping[str, str] = {
    "jsonb": "{}",
    "json": "{}",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "numeric": "0",
    "timestamp with time zone": "1970-01-01T00:00:00Z",
}


class TargetError(Exception):
    """The target cannot hold the copy as declared; the text names table, column and the way out."""


@dataclass(frozen=True, kw_only=True)
class TargetColumn:
    """`type` is PostgreSQL's name for it without length or precision, so that a cast never cuts a value short."""

    type: str
    required: bool

    @property
    def blank(self) -> str | None:
        """What stands in a personal column once its subject is deleted: NULL where that is allowed."""
        return _BLANKS.get(self.type, "") if self.required else None


@dataclass(frozen=True)
class TargetTable:
    """`may_stage`: whether our role may make temporary tables in this database."""

    columns: Mapping[str, TargetColumn]
    may_stage: bool

    @property
    def required(self) -> frozenset[str]:
        return frozenset(name for name, column in self.columns.items() if column.required)


async def read_table(connection: AsyncConnection, target: Target) -> TargetTable:
    """Read the table's columns and check them against the declaration.

    Raises
    ------
    TargetError
        If the table or a column is missing, the key is not unique, or a column that nobody fills may not be NULL.
    """
    quoted = f'"{target.schema_name}"."{target.table_name}"'
    try:
        rows = await (await connection.execute(_COLUMNS, (quoted,))).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise TargetError(f"table {target.table} does not exist: has its service run its migrations?") from None
    columns = {name: TargetColumn(type=kind, required=required) for name, kind, required, _ in rows}
    may_stage = await (await connection.execute(_MAY_STAGE)).fetchone()
    table = TargetTable(columns, may_stage == (True,))
    filled = _filled(target)
    if missing := sorted(filled - table.columns.keys()):
        raise TargetError(f"table {target.table} has no column {', '.join(missing)}: the Replica names it")
    unfilled = sorted(name for name, _, required, has_default in rows if required and not has_default)
    if unfilled := [name for name in unfilled if name not in filled]:
        raise TargetError(
            f"column {', '.join(unfilled)} of {target.table} is NOT NULL, has no default and is not in the Replica: "
            "map it to a field or give it a default"
        )
    unique = await (await connection.execute(_KEY_IS_UNIQUE, (quoted, target.key_column))).fetchone()
    if unique != (True,):
        raise TargetError(
            f"column {target.key_column} of {target.table} needs a unique index of its own: it is the key"
        )
    return table


def _filled(target: Target) -> frozenset[str]:
    special = (target.key_column, target.version_column, target.synced_at_column, target.deleted_at_column)
    return frozenset(name for name in (*special, *(column.name for column in target.columns)) if name)
