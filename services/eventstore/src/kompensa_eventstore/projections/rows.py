"""The rows that a batch of events changes. Each row is loaded once, changed in memory, and stored once.

With a statement for each event, the database would be the bottleneck. Here a batch needs one query for each table to
load its rows and one to store them, even if many events change them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.rows import dict_row, tuple_row

from kompensa_eventstore.encoding import as_json
from kompensa_eventstore.errors import EventStoreError

Row = dict[str, Any]
Key = tuple[Any, ...]


class ProjectionError(EventStoreError):
    """A projection cannot work with its tables: one is not declared, lacks a column, or has a dependent object."""


class _Table(Protocol):
    """The part of `projection.Table` that this module needs. Importing it would be a circle."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]: ...


class _TableRows:
    """The rows of one table in memory. None means that the table has no such row."""

    def __init__(self, name: sql.Identifier, key: tuple[str, ...], columns: Sequence[str]) -> None:
        self.name = name
        self.key = key
        self.columns = frozenset(columns)
        self.rows: dict[Key, Row | None] = {}
        self.changed: set[Key] = set()
        names = sql.SQL(", ").join(sql.Identifier(column) for column in columns)
        keys = sql.SQL(", ").join(sql.Identifier(column) for column in key)
        given = sql.SQL("jsonb_populate_recordset(NULL::{}, %s::jsonb)").format(name)
        rest = [sql.Identifier(column) for column in columns if column not in key]
        settings = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(column) for column in rest)
        act = sql.SQL("UPDATE SET {}").format(settings) if rest else sql.SQL("NOTHING")
        parts = {"name": name, "names": names, "keys": keys, "given": given, "act": act}
        self.select = sql.SQL("SELECT * FROM {name} WHERE ({keys}) IN (SELECT {keys} FROM {given})").format(**parts)
        self.upsert = sql.SQL(
            "INSERT INTO {name} ({names}) SELECT {names} FROM {given} ON CONFLICT ({keys}) DO {act}"
        ).format(**parts)
        self.delete = sql.SQL("DELETE FROM {name} WHERE ({keys}) IN (SELECT {keys} FROM {given})").format(**parts)

    def key_of(self, values: Mapping[str, Any]) -> Key:
        try:
            return tuple(_comparable(values[column]) for column in self.key)
        except KeyError as error:
            raise ProjectionError(f"{self.name.as_string()}: column {error.args[0]} of the key is missing") from None


class Rows:
    """The rows of a projection, as its handlers read and write them."""

    def __init__(self, connection: AsyncConnection[Any], kept: Mapping[str, _TableRows]) -> None:
        self._connection = connection
        self._kept = kept

    @classmethod
    async def of(
        cls, connection: AsyncConnection[Any], tables: Iterable[_Table], *, schema: str, suffix: str = ""
    ) -> Rows:
        """The rows of these tables. A rebuild passes the suffix of its new tables."""
        kept = {}
        for table in tables:
            name = sql.Identifier(schema, table.name + suffix)
            kept[table.name] = _TableRows(name, table.key, await _columns(connection, name))
        return cls(connection, kept)

    async def get(self, table: str, **key: Any) -> Row | None:
        """The row with this key after the events so far, or None. To change the row, use `put`."""
        kept = self._table(table)
        wanted = kept.key_of(key)
        if wanted not in kept.rows:
            await self.load(table, [key])
        row = kept.rows[wanted]
        return None if row is None else dict(row)

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert the row, or replace the one with the same key. The row must have every column."""
        kept = self._table(table)
        if row.keys() != kept.columns:
            missing, surplus = sorted(kept.columns - row.keys()), sorted(row.keys() - kept.columns)
            raise ProjectionError(f"a row of {table} lacks {missing} and has unknown columns {surplus}")
        key = kept.key_of(row)
        kept.rows[key] = dict(row)
        kept.changed.add(key)

    def delete(self, table: str, **key: Any) -> None:
        """Remove the row with this key, if there is one."""
        kept = self._table(table)
        wanted = kept.key_of(key)
        kept.rows[wanted] = None
        kept.changed.add(wanted)

    async def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> AsyncCursor[Row]:
        """Store all changes so far, then run your own SQL. It names tables as `{name}`."""
        await self.store()
        for kept in self._kept.values():
            kept.rows.clear()  # the statement may change any row
        names = {name: kept.name for name, kept in self._kept.items()}
        cursor = self._connection.cursor(row_factory=dict_row)
        return await cursor.execute(sql.SQL(query).format(**names), parameters)

    async def load(self, table: str, keys: Sequence[Mapping[str, Any]]) -> None:
        """Load the rows of these keys by one query, except those already in memory."""
        kept = self._table(table)
        wanted = {kept.key_of(key): dict(key) for key in keys}
        absent = {key: values for key, values in wanted.items() if key not in kept.rows}
        if not absent:
            return
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(kept.select, (_json(list(absent.values())),))
            found = {kept.key_of(row): row for row in await cursor.fetchall()}
        for key in absent:
            kept.rows[key] = found.get(key)

    async def store(self) -> None:
        """Write all changes, with at most two statements for each table."""
        for kept in self._kept.values():
            rows = [kept.rows[key] for key in kept.changed]
            changed = [row for row in rows if row is not None]
            gone = [key for key in kept.changed if kept.rows[key] is None]
            kept.changed = set()
            if changed:
                await self._connection.execute(kept.upsert, (_json(changed),))
            if gone:
                keys = [dict(zip(kept.key, key, strict=True)) for key in gone]
                await self._connection.execute(kept.delete, (_json(keys),))

    def _table(self, name: str) -> _TableRows:
        try:
            return self._kept[name]
        except KeyError:
            declared = ", ".join(self._kept) or "none"
            raise ProjectionError(f"{name} is not a table of this projection (declared: {declared})") from None


async def _columns(connection: AsyncConnection[Any], name: sql.Identifier) -> list[str]:
    query = (
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0"
        " AND NOT attisdropped AND attgenerated = '' AND attidentity = '' ORDER BY attnum"
    )
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, (name.as_string(connection),))
        columns = [str(row[0]) for row in await cursor.fetchall()]
    if not columns:
        raise ProjectionError(f"there is no table {name.as_string(connection)}; create it in a migration")
    return columns


def _comparable(value: Any) -> Any:
    """A key's value as text. In an event, a UUID is text, and both must be the same key."""
    return value if value is None else str(value)


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(rows, default=as_json, ensure_ascii=False, allow_nan=False)
