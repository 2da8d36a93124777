"""Rows that cannot become records: the publication's filter keeps them out, and they are looked for in the table.

The search reads the table's main part once, without the payloads that PostgreSQL keeps elsewhere: it costs as little
as counting the rows. It takes no more than one hundredth of the time.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from psycopg import errors

from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.publication import TOPIC_END, event_bytes
from kompensa_cdc.capture.source import connected, one, table_identifier
from kompensa_cdc.capture.table import Table

SHARE_OF_TIME = 0.01
# No compression of PostgreSQL's makes a value smaller than this part of it.
_MOST_COMPRESSED = 300


@dataclass(frozen=True, kw_only=True)
class Search:
    """The result of the last search, and when the next is due, by the monotonic clock."""

    reason: str = ""
    message: str = ""
    due: float = 0.0


async def search(capture: Database, outbox: Outbox, table: Table, last: Search) -> Search:
    """Look for rows that the filter keeps out, unless that is not due."""
    started = time.monotonic()
    if not last.reason and started < last.due:
        return last
    async with connected(capture, f"looking for rows of {outbox.table} that cannot be published") as connection:
        try:
            row = await one(connection, search_sql(outbox, table.types))
        except errors.QueryCanceled:
            # The table is too large for one look, as an event table may become. It is not broken.
            return replace(last, due=_next(started))
    return replace(_found(outbox, table, row), due=_next(started)) if row else Search(due=_next(started))


def _next(started: float) -> float:
    now = time.monotonic()
    return now + (now - started) / SHARE_OF_TIME


def search_sql(outbox: Outbox, types: Mapping[str, str]) -> str:
    """Finds one row that the filter keeps out. Cheap conditions come first: most rows need no others."""
    table, quoted = table_identifier(outbox).as_string(None), outbox.columns.quoted
    stored = " + ".join(f'coalesce(pg_column_size("{name}"), 0)' for name in types)
    size, limit = event_bytes(outbox, types), outbox.max_event_bytes
    route, event_type = quoted(outbox.route_meaning), quoted("event_type")
    return (
        f"SELECT {quoted('id')}::text AS id, {route} AS route, {event_type} AS event_type, {size} AS bytes,"
        f" {route} ~ '{TOPIC_END}' AS names_a_topic FROM {table}"
        f" WHERE {route} !~ '{TOPIC_END}' OR {event_type} = '' OR NOT isfinite({quoted('occurred_at')})"
        f" OR ({stored} > {limit // _MOST_COMPRESSED} AND {size} > {limit}) LIMIT 1"
    )


def _found(outbox: Outbox, table: Table, row: Mapping[str, object]) -> Search:
    if (size := int(str(row["bytes"]))) > outbox.max_event_bytes:
        why = f"it has {size} bytes and spec.maxEventBytes is {outbox.max_event_bytes}"
        give_up = "" if table.append_only else f"; or give it up: {_deletion(outbox, row)}"
        todo = f"Raise spec.maxEventBytes, and it is published{give_up}"
        return Search(reason="RecordTooLarge", message=_message(outbox, row, why, todo))
    todo = f"Write the event again correctly, and delete this one: {_deletion(outbox, row)}"
    if table.append_only:
        todo = (
            "The table keeps its rows. So correct this one by a migration of its owner, who may disable the trigger, "
            "and then change spec.maxEventBytes, which publishes all rows again"
        )
    return Search(reason="RowUnpublishable", message=_message(outbox, row, _defect(outbox, row), todo))


def _defect(outbox: Outbox, row: Mapping[str, object]) -> str:
    columns = outbox.columns
    if not row["names_a_topic"]:
        return (
            f"its {columns.name(outbox.route_meaning)} {row['route']!r} cannot be part of a topic's name "
            "(expected letters, digits, . _ -)"
        )
    return f"its {columns.event_type} is empty" if not row["event_type"] else f"its {columns.occurred_at} is infinite"


def _message(outbox: Outbox, row: Mapping[str, object], why: str, todo: str) -> str:
    return (
        f"the event {row['id']} of {outbox.table} is not published, because {why}; all other rows of {outbox.table} "
        f"are published. {todo}"
    )


def _deletion(outbox: Outbox, row: Mapping[str, object]) -> str:
    return f"DELETE FROM {outbox.table} WHERE {outbox.columns.quoted('id')} = '{row['id']}'"
