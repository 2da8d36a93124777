"""Read the target table from the database, and check that it can hold the copy that the Replica declares.

This happens once a session, so that a wrong table is reported in one sentence, instead of parking every key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from kompensa_cdc.replicas.spec import Target
from kompensa_common.sessions import keeps_its_process
from kompensa_consumer import SessionError

# A domain counts as the type below it. The -1 turns character(3) into `bpchar` and bit(4) into `"bit"`, because a plain
# `character` means a length of 1. A cast to a length would cut the value; without a length, the table rejects a value
# that is too long.
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
# Unique indexes over the key alone. ON CONFLICT needs one that is checked in every statement, and not deferrable.
_KEY_INDEXES = """
SELECT i.indimmediate FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
 WHERE i.indrelid = %s::regclass AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1
   AND i.indpred IS NULL AND a.attname = %s
"""
# Columns in a unique index without the key, even as part of an expression, for example lower(email).
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
_CUTTING = frozenset({"name", '"char"'})  # a cast to these cuts the value


class TargetError(SessionError):
    """The target cannot hold the copy as declared; the text names table, column and the needed change."""


@dataclass(frozen=True, kw_only=True)
class TargetColumn:
    """One column of the target table.

    Attributes
    ----------
    type
        PostgreSQL's name of the type, without length or precision, so that a cast never cuts a value.
    required
        Whether it may not be NULL.
    computed
        Whether only PostgreSQL may fill it.
    textual
        Whether its type accepts any text, even an empty one.
    unique
        Whether it is part of a unique index without the key.
    """

    type: str
    required: bool
    computed: bool = False
    textual: bool = False
    unique: bool = False

    @property
    def blank(self) -> str | None:
        """The value of a personal column after its subject was deleted: NULL if the column allows that.

        It is None, too, if the type has no blank; `check_blanks` reports such a column.
        """
        if not self.required:
            return None
        return "" if self.textual else _BLANKS.get(self.type)


@dataclass(frozen=True)
class TargetTable:
    """The target table as it is now.

    Attributes
    ----------
    may_stage
        Whether the login may create temporary tables in the database, and they stay in its sessions.
    """

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
        If the table or a column is missing, a column has an unsuitable type, the key is not unique, or a column that
        the Replica does not fill may not be NULL.
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
    table = TargetTable(columns, may_stage == (True,) and keeps_its_process(connection))
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
    """Check that a soft deletion can blank all personal columns.

    Raises
    ------
    TargetError
        If a personal column may be neither NULL nor blank, or if only one row may be blank.
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
                f"{place} is generated by PostgreSQL: leave it out of the Replica, or make it an ordinary column"
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
