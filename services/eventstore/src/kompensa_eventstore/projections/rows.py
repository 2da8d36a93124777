"""The rows that a batch of events changes. Each row is loaded once, changed in memory, and stored once.

With a statement for each event, the database would be the bottleneck. Here a batch needs one query for each table to
load its rows and one to store them, even if many events change them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from psycopg import AsyncConnection, AsyncCursor, sql
from psycopg.rows import dict_row

from kompensa_eventstore.projections.statements import (
    Key,
    ProjectionError,
    Row,
    TableStatements,
    as_text,
    statements_of,
)

_Rows = dict[Key, Row | None]


class _Table(Protocol):
    """The part of `projection.Table` that this module needs. Importing it would be a circle."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> tuple[str, ...]: ...


class _Source(_Table, Protocol):
    @property
    def columns(self) -> tuple[str, ...]: ...


class TableSet:
    """The tables of a projection with their statements, for many batches."""

    def __init__(self, tables: Mapping[str, TableStatements], sources: Mapping[str, TableStatements]) -> None:
        self.tables = tables
        self.sources = sources

    @classmethod
    async def of(
        cls,
        connection: AsyncConnection[Any],
        tables: Iterable[_Table],
        sources: Iterable[_Source] = (),
        *,
        schema: str,
        suffix: str = "",
    ) -> TableSet:
        """The tables as they are now. A rebuild passes the suffix of its new tables."""
        written = {
            table.name: await statements_of(connection, sql.Identifier(schema, table.name + suffix), table.key)
            for table in tables
        }
        read = {
            source.name: await statements_of(
                connection, sql.Identifier(schema, source.name), source.key, read=source.columns
            )
            for source in sources
        }
        return cls(written, read)

    def table(self, name: str) -> TableStatements:
        """A table that is written."""
        try:
            return self.tables[name]
        except KeyError:
            declared = ", ".join(self.tables) or "none"
            reason = "is only read" if name in self.sources else "is not a table"
            raise ProjectionError(f"{name} {reason} in this projection (tables: {declared})") from None

    def table_or_source(self, name: str) -> TableStatements:
        return self.sources[name] if name in self.sources else self.table(name)


class Rows:
    """The rows of a projection, as its handlers read and write them."""

    def __init__(self, connection: AsyncConnection[Any], tables: TableSet) -> None:
        self._connection = connection
        self._set = tables
        self._rows: dict[str, _Rows] = {name: {} for name in (*tables.tables, *tables.sources)}
        self._put: dict[str, dict[Key, Row]] = {name: {} for name in tables.tables}
        self._deleted: dict[str, dict[Key, Row]] = {name: {} for name in tables.tables}

    async def get(self, table: str, **key: Any) -> Row | None:
        """The row with this key after the events so far, or None. To change the row, use `put`."""
        statements = self._set.table_or_source(table)
        wanted = statements.key_of(key)
        rows = self._rows[table]
        if wanted not in rows:
            await self.load(table, [key])
        row = rows[wanted]
        if row is not None and len(row) < len(statements.columns) and table in self._put:
            await self.store()  # the database knows the columns that the handler left out
            del rows[wanted]
            await self.load(table, [key])
            row = rows[wanted]
        return None if row is None else dict(row)

    def put(self, table: str, row: Mapping[str, Any]) -> None:
        """Insert the row, or change the one with the same key. Columns that the row lacks keep their values."""
        statements = self._set.table(table)
        statements.check(row)
        key = statements.key_of(row)
        known = self._rows[table].get(key) if len(row) < len(statements.columns) else None
        self._rows[table][key] = self._put[table][key] = {**known, **row} if known else dict(row)

    def delete(self, table: str, **key: Any) -> None:
        """Remove the row with this key, if there is one."""
        wanted = self._set.table(table).key_of(key)
        self._rows[table][wanted] = None
        self._put[table].pop(wanted, None)
        self._deleted[table][wanted] = key

    async def execute(self, query: str, parameters: Mapping[str, Any] | None = None) -> AsyncCursor[Row]:
        """Store all changes so far, then run your own SQL. It names tables as `{name}`."""
        await self.store()
        for rows in self._rows.values():
            rows.clear()  # the statement may change any row
        names = {name: table.name for name, table in (*self._set.tables.items(), *self._set.sources.items())}
        cursor = self._connection.cursor(row_factory=dict_row)
        return await cursor.execute(sql.SQL(query).format(**names), parameters)

    async def load(self, table: str, keys: Iterable[Mapping[str, Any]]) -> None:
        """Load the rows of these keys by one query, except those already in memory."""
        statements, rows = self._set.table_or_source(table), self._rows[table]
        wanted = {statements.key_of(key): key for key in keys}
        absent = {key: values for key, values in wanted.items() if key not in rows}
        if not absent:
            return
        async with self._connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statements.select, (as_text(list(absent.values())),))
            found = {statements.key_of(row): row for row in await cursor.fetchall()}
        for key in absent:
            rows[key] = found.get(key)

    async def store(self) -> None:
        """Write all changes, with at most two statements for each table and set of columns."""
        for name, statements in self._set.tables.items():
            put, deleted = self._put[name], self._deleted[name]
            if deleted:
                await self._connection.execute(statements.delete, (as_text(list(deleted.values())),))
            for columns, rows in _by_columns(put.values()).items():
                await self._connection.execute(statements.upsert(columns), (as_text(rows),))
            put.clear()
            deleted.clear()


def _by_columns(rows: Iterable[Row]) -> dict[frozenset[str], list[Row]]:
    """Rows by the columns that they have. Usually all have the same."""
    found: dict[frozenset[str], list[Row]] = {}
    for row in rows:
        found.setdefault(frozenset(row), []).append(row)
    return found
