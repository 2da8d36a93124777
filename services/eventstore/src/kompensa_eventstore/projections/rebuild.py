"""Rebuilds a projection from its first event while the old tables are still in use.

The rebuild fills new tables with the same columns. When they have caught up, they replace the old ones in one
transaction. Readers see the old rows until then and the new rows afterwards. If a rebuild is stopped, the next one
continues it. It runs as the owner of the tables, for example in a Job with the role that migrates.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from kompensa_eventstore.events import Position
from kompensa_eventstore.feed import Feed
from kompensa_eventstore.projections.projection import Projection
from kompensa_eventstore.projections.rows import ProjectionError
from kompensa_eventstore.projections.runner import advance, hold, position

BATCH = 2_000
SUFFIX = "__next"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a rebuild: events applied, events in the table by the planner's estimate, and the rate."""

    done: int
    total: int
    per_second: float


async def rebuild(
    projection: Projection,
    feed: Feed,
    connection: AsyncConnection[Any],
    *,
    schema: str,
    events: str = "events",
    batch: int = BATCH,
    report: Callable[[Progress], None] = lambda _: None,
) -> int:
    """Rebuild the projection, replace its tables, and return the number of events that this run applied.

    Parameters
    ----------
    connection
        In autocommit, as the owner of the projection's tables.
    report
        Called after each batch.

    Raises
    ------
    ProjectionError
        Another object depends on an old table, for example a view. It would stay with the old table.
    """
    name = projection.name + SUFFIX
    await hold(connection, schema, name)
    await _check_dependants(connection, projection, schema)
    after = await _prepare_tables(connection, projection, schema, name)
    total = await _estimate(connection, schema, events)
    begin, done = time.monotonic(), 0
    while True:
        page = await feed.read(connection, after=after, limit=batch)
        if page.events:
            await advance(connection, projection, page.events, after=after, schema=schema, name=name, suffix=SUFFIX)
            after, done = page.events[-1].position, done + len(page.events)
            report(Progress(done=done, total=max(total, done), per_second=done / (time.monotonic() - begin or 1)))
        if len(page.events) < batch:
            break
    return done + await _swap(connection, projection, feed, schema, name, after)


async def _prepare_tables(connection: AsyncConnection[Any], projection: Projection, schema: str, name: str) -> Position:
    """Create the new tables, or continue those of an earlier run. Return the position that they have reached."""
    async with connection.transaction():
        after = await position(connection, schema, name, lock=True)
        for table in projection.tables:
            await connection.execute(
                sql.SQL("CREATE TABLE IF NOT EXISTS {} (LIKE {} INCLUDING ALL)").format(
                    sql.Identifier(schema, table.name + SUFFIX), sql.Identifier(schema, table.name)
                )
            )
    return after


async def _swap(
    connection: AsyncConnection[Any], projection: Projection, feed: Feed, schema: str, name: str, after: Position
) -> int:
    """Apply the latest events, and replace the old tables by the new ones, in one transaction.

    First it locks the position of the old tables, as the runner does in each transaction. So the runner waits, then
    sees that the position has changed, and goes on from there with the new tables.
    """
    done = 0
    async with connection.transaction():
        await position(connection, schema, projection.name, lock=True)
        while events := (await feed.read(connection, after=after, limit=BATCH)).events:
            await advance(connection, projection, events, after=after, schema=schema, name=name, suffix=SUFFIX)
            after, done = events[-1].position, done + len(events)
        for table in projection.tables:
            await _replace_table(connection, schema, table.name)
        await _take_position(connection, schema, projection.name, of=name)
    return done


async def _replace_table(connection: AsyncConnection[Any], schema: str, table: str) -> None:
    """Drop the old table, and give its name and its grants to the new one."""
    old, new = sql.Identifier(schema, table), sql.Identifier(schema, table + SUFFIX)
    for grant in await _grants(connection, schema, table):
        await connection.execute(grant)
    await connection.execute(sql.SQL("DROP TABLE {}").format(old))
    await connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(new, sql.Identifier(table)))


async def _take_position(connection: AsyncConnection[Any], schema: str, name: str, *, of: str) -> None:
    """Give the position of the rebuild, `of`, to the projection, and forget the rebuild."""
    bookkeeping = sql.Identifier(schema, "projections")
    await connection.execute(
        sql.SQL(
            "UPDATE {table} live SET (transaction_id, number, events, advanced_at, error, failing_since) ="
            " (SELECT transaction_id, number, events, clock_timestamp(), NULL, NULL::timestamptz"
            " FROM {table} WHERE name = %s) WHERE live.name = %s"
        ).format(table=bookkeeping),
        (of, name),
    )
    await connection.execute(sql.SQL("DELETE FROM {} WHERE name = %s").format(bookkeeping), (of,))


async def _grants(connection: AsyncConnection[Any], schema: str, table: str) -> list[sql.Composed]:
    """Statements that give the new table the same grants as the old one."""
    query = """
        SELECT privilege_type, is_grantable, CASE WHEN grantee <> 0 THEN grantee::regrole::text END
          FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = to_regclass(%s) AND grantee <> relowner
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, (sql.Identifier(schema, table).as_string(connection),))
        found = await cursor.fetchall()
    return [
        sql.SQL("GRANT {} ON {} TO {}{}").format(
            sql.SQL(privilege),
            sql.Identifier(schema, table + SUFFIX),
            sql.SQL(role or "PUBLIC"),  # the text of a regrole has quotes if it needs them
            sql.SQL(" WITH GRANT OPTION" if grantable else ""),
        )
        for privilege, grantable, role in found
    ]


async def _check_dependants(connection: AsyncConnection[Any], projection: Projection, schema: str) -> None:
    query = """
        SELECT DISTINCT coalesce(rule.ev_class::regclass::text, fk.conrelid::regclass::text)
          FROM pg_depend
          LEFT JOIN pg_rewrite rule ON classid = 'pg_rewrite'::regclass AND rule.oid = objid
          LEFT JOIN pg_constraint fk
            ON classid = 'pg_constraint'::regclass AND fk.oid = objid AND fk.contype = 'f' AND fk.confrelid = refobjid
         WHERE refobjid = to_regclass(%s) AND (rule.oid IS NOT NULL OR fk.oid IS NOT NULL)
    """
    for table in projection.tables:
        async with connection.cursor(row_factory=tuple_row) as cursor:
            await cursor.execute(query, (sql.Identifier(schema, table.name).as_string(connection),))
            found = [str(row[0]) for row in await cursor.fetchall()]
        if found:
            raise ProjectionError(
                f"{', '.join(found)} depends on {schema}.{table.name}, which a rebuild replaces; drop it, rebuild, and "
                "create it again"
            )


async def _estimate(connection: AsyncConnection[Any], schema: str, events: str) -> int:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        query = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass(%s)"
        await cursor.execute(query, (sql.Identifier(schema, events).as_string(connection),))
        row = await cursor.fetchone()
    return int(row[0]) if row else 0
