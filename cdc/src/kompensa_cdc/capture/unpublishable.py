"""Rows that cannot become records: the publication's filter keeps them out, and they are looked for in the table.

The search reads the table's main part once, without the payloads that PostgreSQL keeps elsewhere: it costs as little
as counting the rows. It takes no more than one hundredth of the time.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.publication import EVENT_TYPE, event_bytes
from kompensa_cdc.capture.source import connected, one, table_identifier

SHARE_OF_TIME = 0.01
# No compression of PostgreSQL's makes a value smaller than this part of it.
_MOST_COMPRESSED = 300


@dataclass(frozen=True, kw_only=True)
class Search:
    """The result of the last search, and when the next is due, by the monotonic clock."""

    reason: str = ""
    message: str = ""
    due: float = 0.0


async def search(capture: Database, outbox: Outbox, types: Mapping[str, str], last: Search) -> Search:
    """Look for rows that the filter keeps out, unless that is not due."""
    started = time.monotonic()
    if not last.reason and started < last.due:
        return last
    async with connected(capture, f"looking for rows of {outbox.table} that cannot be published") as connection:
        row = await one(connection, search_sql(outbox, types))
    due = time.monotonic() + (time.monotonic() - started) / SHARE_OF_TIME
    return replace(_found(outbox, row), due=due) if row else Search(due=due)


def search_sql(outbox: Outbox, types: Mapping[str, str]) -> str:
    """Finds one row that the filter keeps out. Cheap conditions come first: most rows need no others."""
    table = table_identifier(outbox).as_string(None)
    stored = " + ".join(f"coalesce(pg_column_size({name}), 0)" for name in types)
    size = event_bytes(types)
    return (
        f"SELECT id::text, event_type, {size} AS bytes, event_type ~ '{EVENT_TYPE}' AS names_a_topic"
        f" FROM {table}"
        f" WHERE event_type !~ '{EVENT_TYPE}' OR NOT isfinite(occurred_at)"
        f" OR ({stored} > {outbox.max_event_bytes // _MOST_COMPRESSED} AND {size} > {outbox.max_event_bytes}) LIMIT 1"
    )


def _found(outbox: Outbox, row: Mapping[str, object]) -> Search:
    size, rest = int(str(row["bytes"])), f"all other rows of {outbox.table} are published"
    away = f"DELETE FROM {outbox.table} WHERE id = '{row['id']}'"
    if size > outbox.max_event_bytes:
        message = (
            f"the event {row['id']} of {outbox.table} has {size} bytes and is not published, because "
            f"spec.maxEventBytes is {outbox.max_event_bytes}; {rest}. Raise spec.maxEventBytes, and it is published; "
            f"or give it up: {away}"
        )
        return Search(reason="RecordTooLarge", message=message)
    what = f"its event_type {row['event_type']!r} cannot be part of a topic's name (expected letters, digits, . _ -)"
    if row["names_a_topic"]:
        what = "its occurred_at is infinite"
    message = (
        f"the event {row['id']} of {outbox.table} is not published, because {what}; {rest}. Write the event again "
        f"correctly, and delete this one: {away}"
    )
    return Search(reason="RowUnpublishable", message=message)
