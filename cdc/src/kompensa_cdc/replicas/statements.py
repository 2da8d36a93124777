"""Compose the SQL that writes a copy: once a session, with every identifier quoted by psycopg.

The upsert is the hot path. It takes its rows from a temporary table, filled by COPY, or from arrays. The other
statements are rare and take arrays only. In all of them, `s` is the state to write, `c` the copy's row, and `t` the
key's tombstone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.spec import OnDelete, ReplicaSpec, Target
from kompensa_cdc.replicas.table import TargetTable, check_blanks

STAGED = sql.Identifier("kompensa_staged")
Part = sql.Composable


@dataclass(frozen=True, kw_only=True)
class Statements:
    """The statements for one table, in the order in which a batch needs them.

    Attributes
    ----------
    target
        The table as the Replica declares it.
    table
        The table as it was in the database when the statements were composed.
    upsert_from_arrays, upsert_late
        Take one array per column: keys, versions, then the declared columns.
    write_tombstones, apply_tombstones
        Take the keys, versions and times of deletions.
    row_versions
        Takes keys; returns those that have a row, each with the row's version.
    """

    target: Target
    table: TargetTable
    create_staged: sql.Composed
    copy_staged: sql.Composed
    upsert_from_staged: sql.Composed
    upsert_from_arrays: sql.Composed
    write_tombstones: sql.Composed
    apply_tombstones: tuple[sql.Composed, ...]
    upsert_late: tuple[sql.Composed, ...]
    row_versions: sql.Composed


def compose_statements(spec: ReplicaSpec, table: TargetTable, books: Bookkeeping) -> Statements:
    """Compose the statements for one table.

    Raises
    ------
    TargetError
        If a soft deletion could not blank a personal column.
    """
    soft = spec.on_delete is OnDelete.SOFT_DELETE
    if soft:
        check_blanks(spec.target, table)
    build = _StatementBuilder(spec.target, table, books)
    return Statements(
        target=spec.target,
        table=table,
        create_staged=build.create_staged(),
        copy_staged=sql.SQL("COPY {} FROM STDIN").format(STAGED),
        upsert_from_staged=build.upsert(STAGED),
        upsert_from_arrays=build.upsert(build.arrays()),
        write_tombstones=build.write_tombstones(),
        apply_tombstones=(build.remember_shown_versions(), build.soft_delete()) if soft else (build.hard_delete(),),
        upsert_late=(build.upsert_late(), build.remember_late_versions()) if soft else (),
        row_versions=build.row_versions(),
    )


@dataclass(frozen=True)
class _StatementBuilder:
    target: Target
    table: TargetTable
    books: Bookkeeping

    def create_staged(self) -> sql.Composed:
        columns = [sql.SQL("{} {}").format(sql.Identifier(f"v{i}"), kind) for i, kind in enumerate(self._types())]
        text = "CREATE TEMPORARY TABLE IF NOT EXISTS {} ({}) ON COMMIT DELETE ROWS"
        return sql.SQL(text).format(STAGED, sql.SQL(", ").join(columns))

    def arrays(self) -> sql.Composed:
        """Return a subquery with the columns of the temporary table, from one text array each."""
        names = [sql.Identifier(f"v{i}") for i in range(len(self._types()))]
        casts = [sql.SQL("{}::{} AS {}").format(n, kind, n) for n, kind in zip(names, self._types(), strict=True)]
        return sql.SQL("(SELECT {casts} FROM unnest({arrays}) AS a ({names}))").format(
            casts=_comma(casts), arrays=_comma([sql.SQL("%s::text[]")] * len(names)), names=_comma(names)
        )

    def upsert(self, source: Part) -> sql.Composed:
        """Insert or update, but never with an older version, which makes duplicates and disorder harmless."""
        names, values = self._assignments(blank_personal=False, deleted_at=sql.SQL("NULL"), version=sql.SQL("s.v1"))
        return sql.SQL(
            "INSERT INTO {table} AS c ({names}) SELECT {values} FROM {source} s ORDER BY s.v0 "
            "ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE {held} < excluded.{version}"
        ).format(
            table=self._table,
            names=_comma(names),
            values=_comma(values),
            source=source,
            key=self._key,
            updates=_excluded(names[1:]),
            held=self._held,
            version=self._version,
        )

    def write_tombstones(self) -> sql.Composed:
        """Keep the newest deletion of each key, so that an older state that comes late cannot bring the row back."""
        return self.books.compose(
            "INSERT INTO {tombstones} AS t (replica, key, version, deleted_at) "
            "SELECT %(replica)s, d.key, d.version, d.deleted_at "
            "FROM unnest(%(keys)s::text[], %(versions)s::bigint[], %(times)s::timestamptz[]) "
            "AS d (key, version, deleted_at) ORDER BY d.key "
            "ON CONFLICT (replica, key) DO UPDATE SET version = excluded.version, deleted_at = excluded.deleted_at "
            "WHERE t.version < excluded.version"
        )

    def remember_shown_versions(self) -> sql.Composed:
        """Note in the tombstone, before a row is soft-deleted, the version of the state that its columns show.

        A state that comes later, but is older than the deletion, replaces the columns only if it is newer than that.
        """
        return sql.SQL(
            "UPDATE {tombstones} t SET state_version = greatest(t.state_version, c.{version}) FROM {table} c "
            "WHERE {below_tombstone} AND c.{deleted_at} IS NULL"
        ).format(deleted_at=self._deleted_at, **self._below_tombstone())

    def soft_delete(self) -> sql.Composed:
        """Mark a row as deleted and blank its personal columns. It stays, as other rows may refer to it."""
        personal = [
            sql.SQL("{} = {}").format(sql.Identifier(column.name), self._blank(column.name))
            for column in self.target.columns
            if column.personal
        ]
        settings = [
            sql.SQL("{} = t.version").format(self._version),
            sql.SQL("{} = t.deleted_at").format(self._deleted_at),
            *([sql.SQL("{} = now()").format(self._synced_at)] if self.target.synced_at_column else []),
            *personal,
        ]
        return sql.SQL("UPDATE {table} c SET {settings} FROM {tombstones} t WHERE {below_tombstone}").format(
            settings=_comma(settings), **self._below_tombstone()
        )

    def hard_delete(self) -> sql.Composed:
        return sql.SQL("DELETE FROM {table} c USING {tombstones} t WHERE {below_tombstone}").format(
            **self._below_tombstone()
        )

    def upsert_late(self) -> sql.Composed:
        """Write a state that is older than its key's deletion, as the deletion would have left it."""
        names, values = self._assignments(
            blank_personal=True, deleted_at=sql.SQL("t.deleted_at"), version=sql.SQL("t.version")
        )
        return sql.SQL(
            "INSERT INTO {table} AS c ({names}) SELECT {values} FROM {source} s JOIN {tombstones} t "
            "ON t.replica = %s AND t.key = s.v0::text WHERE t.state_version < s.v1 ORDER BY s.v0 "
            "ON CONFLICT ({key}) DO UPDATE SET {updates} WHERE {held} <= excluded.{version}"
        ).format(
            table=self._table,
            names=_comma(names),
            values=_comma(values),
            source=self.arrays(),
            tombstones=self.books.compose("{tombstones}"),
            key=self._key,
            updates=_excluded(names[1:]),
            held=self._held,
            version=self._version,
        )

    def remember_late_versions(self) -> sql.Composed:
        return sql.SQL(
            "UPDATE {tombstones} t SET state_version = s.v1 FROM {source} s "
            "WHERE t.key = s.v0::text AND t.replica = %s AND t.state_version < s.v1"
        ).format(tombstones=self.books.compose("{tombstones}"), source=self.arrays())

    def row_versions(self) -> sql.Composed:
        return sql.SQL(
            "SELECT s.key, {held} FROM unnest(%s::text[]) AS s (key) JOIN {table} c ON c.{key} = s.key::{kind}"
        ).format(table=self._table, key=self._key, held=self._held, kind=self._types()[0])

    def _assignments(self, *, blank_personal: bool, deleted_at: Part, version: Part) -> tuple[list[Part], list[Part]]:
        """Return the columns of the copy, the key first, and the expression for the value of each."""
        pairs: list[tuple[str, Part]] = [(self.target.key_column, sql.SQL("s.v0"))]
        pairs.append((self.target.version_column, version))
        if self.target.synced_at_column:
            pairs.append((self.target.synced_at_column, sql.SQL("now()")))
        if self.target.deleted_at_column:
            pairs.append((self.target.deleted_at_column, deleted_at))
        for index, column in enumerate(self.target.columns, start=2):
            value: Part = sql.SQL("s.{}").format(sql.Identifier(f"v{index}"))
            pairs.append((column.name, self._blank(column.name) if blank_personal and column.personal else value))
        return [sql.Identifier(name) for name, _ in pairs], [value for _, value in pairs]

    def _below_tombstone(self) -> dict[str, Part]:
        below_tombstone = sql.SQL(
            "t.replica = %(replica)s AND t.key = ANY(%(keys)s) AND c.{key} = t.key::{kind} AND {held} < t.version"
        ).format(key=self._key, kind=self._types()[0], held=self._held)
        return {
            "table": self._table,
            "tombstones": self.books.compose("{tombstones}"),
            "version": self._version,
            "below_tombstone": below_tombstone,
        }

    def _blank(self, name: str) -> Part:
        column = self.table.columns[name]
        return sql.SQL("{}::{}").format(sql.Literal(column.blank), _kind(column.type))

    def _types(self) -> list[Part]:
        names = [self.target.key_column, *(column.name for column in self.target.columns)]
        key, *columns = [_kind(self.table.columns[name].type) for name in names]
        return [key, sql.SQL("bigint"), *columns]

    @property
    def _table(self) -> Part:
        return sql.Identifier(self.target.schema_name, self.target.table_name)

    @property
    def _key(self) -> Part:
        return sql.Identifier(self.target.key_column)

    @property
    def _version(self) -> Part:
        return sql.Identifier(self.target.version_column)

    @property
    def _held(self) -> Part:
        """The version of the copy's row. A row from before the version column was added has none and counts as 0."""
        return sql.SQL("coalesce(c.{}, 0)").format(self._version)

    @property
    def _deleted_at(self) -> Part:
        return sql.Identifier(self.target.deleted_at_column or "")

    @property
    def _synced_at(self) -> Part:
        return sql.Identifier(self.target.synced_at_column or "")


def _kind(name: str) -> Part:
    # From format_type(): the server's own spelling, quoted by it where needed.
    return sql.SQL(name)


def _comma(parts: Sequence[Part]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


def _excluded(names: Sequence[Part]) -> sql.Composed:
    return _comma([sql.SQL("{0} = excluded.{0}").format(name) for name in names])
