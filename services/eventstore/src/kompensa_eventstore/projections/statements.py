"""The statements of one table of a projection. Rows travel as one JSON text, however many they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from kompensa_eventstore.encoding import as_json
from kompensa_eventstore.errors import EventStoreError

Row = dict[str, Any]
Key = tuple[Any, ...]

_COLUMNS = """
    SELECT attname, atttypid = 'uuid'::regtype, attnotnull AND NOT atthasdef FROM pg_attribute
     WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity = ''
     ORDER BY attnum
"""


class ProjectionError(EventStoreError):
    """A projection cannot work with its tables: one is not declared, lacks a column, or has a dependent object."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table. A new row needs a value if it is `required`: it has no default and is not nullable."""

    name: str
    is_uuid: bool
    required: bool


class TableStatements:
    """The statements and columns of a table, in the form of the moment. They are made once for many batches.

    Parameters
    ----------
    read
        Columns to read. The default is all.
    """

    def __init__(
        self, name: sql.Identifier, key: tuple[str, ...], columns: Sequence[Column], *, read: Iterable[str] = ()
    ) -> None:
        self.name = name
        self.key = key
        self.columns = frozenset(column.name for column in columns)
        self._required = frozenset(column.name for column in columns if column.required)
        uuids = {column.name for column in columns if column.is_uuid}
        self._parts: list[tuple[str, Callable[[Any], Any]]] = [
            (column, _uuid if column in uuids else _text) for column in key
        ]
        self._keys = sql.SQL(", ").join(sql.Identifier(column) for column in key)
        self._given = sql.SQL("jsonb_populate_recordset(NULL::{}, %s::jsonb)").format(name)
        wanted = [sql.Identifier(column) for column in (*key, *read)] if read else [sql.SQL("*")]
        which = sql.SQL("({keys}) IN (SELECT {keys} FROM {given})").format(keys=self._keys, given=self._given)
        self.select = sql.SQL("SELECT {} FROM {} WHERE {}").format(sql.SQL(", ").join(wanted), name, which)
        self.delete = sql.SQL("DELETE FROM {} WHERE {}").format(name, which)
        self._upserts: dict[frozenset[str], sql.Composed] = {}

    def key_of(self, values: Mapping[str, Any]) -> Key:
        """The key of a row, in a form in which equal keys are equal: in an event, a UUID is text."""
        try:
            return tuple([part(values[column]) for column, part in self._parts])
        except KeyError as error:
            raise ProjectionError(f"{self.name.as_string()}: column {error.args[0]} of the key is missing") from None

    def check(self, row: Mapping[str, Any]) -> None:
        """Check that a row has no unknown column, and each column that a new row needs.

        Raises
        ------
        ProjectionError
            Naming the columns.
        """
        if row.keys() >= self._required and row.keys() <= self.columns:
            return
        missing, surplus = sorted(self._required - row.keys()), sorted(row.keys() - self.columns)
        name = self.name.as_string()
        raise ProjectionError(f"a row of {name} lacks {missing} and has unknown columns {surplus}; correct the handler")

    def upsert(self, columns: Collection[str]) -> sql.Composed:
        """Insert rows with these columns, or change these columns of rows with the same keys."""
        of = frozenset(columns)
        found = self._upserts.get(of)
        if found is None:
            found = self._upserts[of] = self._make_upsert(sorted(of))
        return found

    def _make_upsert(self, columns: Sequence[str]) -> sql.Composed:
        rest = [sql.Identifier(column) for column in columns if column not in self.key]
        settings = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(column) for column in rest)
        return sql.SQL("INSERT INTO {name} ({names}) SELECT {names} FROM {given} ON CONFLICT ({keys}) DO {act}").format(
            name=self.name,
            names=sql.SQL(", ").join(sql.Identifier(column) for column in columns),
            given=self._given,
            keys=self._keys,
            act=sql.SQL("UPDATE SET {}").format(settings) if rest else sql.SQL("NOTHING"),
        )


async def statements_of(
    connection: AsyncConnection[Any], name: sql.Identifier, key: tuple[str, ...], *, read: Iterable[str] = ()
) -> TableStatements:
    """The statements for the columns that the table has now.

    Raises
    ------
    ProjectionError
        There is no such table.
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_COLUMNS, (name.as_string(connection),))
        columns = [
            Column(name=column, is_uuid=is_uuid, required=required)
            for column, is_uuid, required in await cursor.fetchall()
        ]
    if not columns:
        raise ProjectionError(f"there is no table {name.as_string(connection)}; create it in a migration")
    return TableStatements(name, key, columns, read=read)


def as_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the JSON text that the statements take."""
    return json.dumps(rows, default=_plain, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> str:
    """As `as_json`, but quicker, since only PostgreSQL reads it."""
    if type(value) is UUID:
        return value.hex
    if type(value) is datetime and value.tzinfo is not None:
        return value.isoformat()
    return as_json(value)


def _uuid(value: Any) -> Any:
    if value is None:
        return None
    return value.int if type(value) is UUID else UUID(str(value)).int


def _text(value: Any) -> Any:
    match value:
        case str() | None:
            return value
        case datetime():
            return as_json(value)
        case Decimal():
            return str(value.normalize())
        case date():
            return value.isoformat()
        case _:
            return str(value)
