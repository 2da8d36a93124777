"""The target table as it is in the database, and whether it can hold the copy that the Replica declares.

Read once a session, so that a wrong table is told in one sentence instead of parking every key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from kompensa_cdc.replicas.spec import Target

# A domain counts as the type below it, and -1 makes `bpchar` of character(3) and `"bit"` of bit(4), whose bare names
# mean a length of 1. So nothing is cast to a length, which would cut: the table refuses what is too long for it.
_COLUMNS = """
WITH RECURSIVE columns (name, type, required, has_default, computed) AS (
    SELECT a.attname, a.atttypid, a.attnotnull, a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '',
           a.attidentity = 'a' OR a.attgenerated <> ''
      FROM pg_attribute a
     WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT c.name, t.typbasetype, c.required OR t.typnotnull, c.has_default OR t.typdefault IS NOT NULL, c.computed
      FROM columns c JOIN pg_type t ON t.oid = c.type
     WHERE t.typtype = 'd'
)
SELECT c.name, format_type(c.type, -1), c.required, c.has_default, c.computed, t.typcategory = 'S'
  FROM columns c JOIN pg_type t ON t.oid = c.type
 WHERE t.typtype <> 'd'
"""
# Whether each index over the key alone is looked at in every statement, as ON CONFLICT asks, or may be deferred.
_KEY_INDEXES = """
SELECT i.indimmediate FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
   AND i.indpred IS NULL AND a.attname = %s
"""
# Columns that a unique index without the key is over, also as part of an expression: lower(email).
_UNIQUE_COLUMNS = """
SELECT DISTINCT a.attname
  FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0
  JOIN pg_attribute k ON k.attrelid = i.indrelid AND k.attname = %(key)s
 WHERE i.indrelid = %(table)s::regclass AND i.indisunique AND i.indpred IS NULL AND NOT k.attnum = ANY (i.indkey)
   AND (a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
        OR 0 = ANY (i.indkey) AND EXISTS (
           SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
              AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))
"""
_MAY_STAGE = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
_BLANKS: Mapping[str, str] = {
    "jsonb": "{}",
    "json": "{}",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "numeric": "0",
    "timestamp with time zone": "1970-01-01T00:00:00Z",
}
_COUNTS = frozenset({"smallint", "integer", "bigint", "numeric"})
_TIMES = frozenset({"timestamp with time zone", "timestamp without time zone", "date"})
_CUTTING = frozenset({"name", '"char"'})  # whose casts themselves cut


class TargetError(Exception):
    """The target cannot hold the copy as declared; the text names table, column and the way out."""


@dataclass(frozen=True, kw_only=True)
class TargetColumn:
    """`type` is PostgreSQL's name for it without length or precision, so that a cast never cuts a value short.

    `computed`: PostgreSQL alone may fill it. `textual`: of a type that takes any text, the empty one too. `unique`: no
    two rows may have the same value in it, or in an index that it is part of.
    """

    type: str
    required: bool
    computed: bool = False
    textual: bool = False
    unique: bool = False

    @property
    def blank(self) -> str | None:
        """What stands in a personal column once its subject is deleted: NULL where that is allowed."""
        if not self.required:
            return None
        return "" if self.textual else _BLANKS.get(self.type)


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
        If the table or a column is missing, a column cannot hold what it is for, the key is not unique, or a column
        that nobody fills may not be NULL.
    """
    quoted = f'"{target.schema_name}"."{target.table_name}"'
    try:
        rows = await (await connection.execute(_COLUMNS, (quoted,))).fetchall()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        raise TargetError(f"table {target.table} does not exist: has its service run its migrations?") from None
    names = await connection.execute(_UNIQUE_COLUMNS, {"table": quoted, "key": target.key_column})
    unique = {name async for (name,) in names}
    columns = {
        name: TargetColumn(type=kind, required=required, computed=computed, textual=textual, unique=name in unique)
        for name, kind, required, _, computed, textual in rows
    }
    may_stage = await (await connection.execute(_MAY_STAGE)).fetchone()
    table = TargetTable(columns, may_stage == (True,))
    filled = _filled(target)
    if missing := sorted(filled - table.columns.keys()):
        raise TargetError(f"table {target.table} has no column {', '.join(missing)}: the Replica names it")
    unfilled = sorted(name for name, _, required, has_default, *_ in rows if required and not has_default)
    if unfilled := [name for name in unfilled if name not in filled]:
        raise TargetError(
            f"column {', '.join(unfilled)} of {target.table} is NOT NULL, has no default and is not in the Replica: "
            "map it to a field or give it a default"
        )
    _check_columns(target, table)
    indexes = await connection.execute(_KEY_INDEXES, (quoted, target.key_column))
    _check_key(target, [immediate async for (immediate,) in indexes])
    return table


def check_blanks(target: Target, table: TargetTable) -> None:
    """Check that a soft deletion can blank what is personal.

    Raises
    ------
    TargetError
        If a personal column may be neither NULL nor blank, or be blank in one row only: deletions would not fit.
    """
    for name in (column.name for column in target.columns if column.personal):
        column = table.columns[name]
        if not column.required:
            continue
        place = f"column {name} of {target.table} is personal and NOT NULL"
        if column.blank is None:
            raise TargetError(f"{place}, and type {column.type} has no blank for onDelete SoftDelete: make it nullable")
        if column.unique:
            raise TargetError(f"{place}, and its unique index takes a blank only once: make the column nullable")


def _check_columns(target: Target, table: TargetTable) -> None:
    for name in sorted(_filled(target)):
        column = table.columns[name]
        place = f"column {name} of {target.table}"
        if column.computed:
            raise TargetError(
                f"{place} is generated by PostgreSQL alone: leave it out of the Replica, or make it plain"
            )
        if column.type in _CUTTING:
            raise TargetError(f"{place} is of type {column.type}, which cuts what is too long: make it text")
    version = table.columns[target.version_column].type
    if version not in _COUNTS:
        raise TargetError(
            f"versionColumn {target.version_column} of {target.table} is of type {version}: make it bigint, as "
            "versions are compared as whole numbers"
        )
    _check_time("syncedAtColumn", target.synced_at_column, target, table)
    _check_time("deletedAtColumn", target.deleted_at_column, target, table)
    if target.deleted_at_column and table.columns[target.deleted_at_column].required:
        raise TargetError(
            f"deletedAtColumn {target.deleted_at_column} of {target.table} is NOT NULL: make it nullable, as rows that "
            "are not deleted have NULL there"
        )


def _check_time(role: str, name: str | None, target: Target, table: TargetTable) -> None:
    if name and table.columns[name].type not in _TIMES:
        raise TargetError(f"{role} {name} of {target.table} is of type {table.columns[name].type}: make it timestamptz")


def _check_key(target: Target, indexes: Sequence[bool]) -> None:
    place = f"column {target.key_column} of {target.table}"
    if not indexes:
        raise TargetError(f"{place} needs a unique index of its own: it is the key")
    if not any(indexes):
        raise TargetError(f"{place} has a DEFERRABLE unique constraint: make it NOT DEFERRABLE, as it is the key")


def _filled(target: Target) -> frozenset[str]:
    special = (target.key_column, target.version_column, target.synced_at_column, target.deleted_at_column)
    return frozenset(name for name in (*special, *(column.name for column in target.columns)) if name)
