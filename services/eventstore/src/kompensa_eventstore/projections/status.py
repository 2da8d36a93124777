"""The state of a projection, as a person or a monitor wants to know it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, sql
from psycopg.rows import dict_row

from kompensa_eventstore.events import Position
from kompensa_eventstore.feed import Feed
from kompensa_eventstore.projections.bookkeeping import bookkeeping
from kompensa_eventstore.projections.projection import Projection

MOST_BEHIND = 10_000

# A projection that has never run has no row. Then all events are waiting.
_STATUS = """
    SELECT coalesce(p.transaction_id, 0) AS transaction_id, coalesce(p.number, 0) AS number,
           coalesce(p.events, 0) AS events, p.failure, p.failing_since, w.behind,
           coalesce(extract(epoch FROM clock_timestamp() - w.oldest), 0)::float8 AS lag
      FROM (SELECT %(name)s::text AS name) asked
      LEFT JOIN {projections} p USING (name), LATERAL (
           SELECT count(*) AS behind, min(occurred_at) AS oldest FROM (
               SELECT occurred_at FROM {events}
                WHERE (transaction_id, position) > (coalesce(p.transaction_id, 0)::text::xid8, coalesce(p.number, 0))
                  AND (%(types)s::text[] IS NULL OR aggregate_type = ANY (%(types)s))
                ORDER BY transaction_id, position LIMIT %(most)s) waiting) w
"""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The error that stops a projection, and the event at which it stopped, unless no event is at fault."""

    message: str
    event_id: UUID | None = None
    stream: str | None = None
    version: int | None = None
    type: str | None = None
    schema_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of a projection.

    Attributes
    ----------
    events
        Number of events that it has passed.
    behind
        Number of events that it has not passed yet, counted up to 10,000.
    lag_seconds
        Age of the oldest of them, or 0 if there is none.
    failure, failing_since
        The failure that stops it, or None.
    """

    name: str
    position: Position
    events: int
    behind: int
    lag_seconds: float
    failure: Failure | None
    failing_since: datetime | None


async def status(connection: AsyncConnection[Any], projection: Projection, feed: Feed, *, schema: str) -> Status:
    """The state of the projection, from its row in `projections` and from the events that it has not passed."""
    query = sql.SQL(_STATUS).format(projections=bookkeeping(schema), events=feed.name)
    types = list(projection.aggregates) if projection.aggregates is not None else None
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, {"name": projection.name, "types": types, "most": MOST_BEHIND})
        row = await cursor.fetchone()
    assert row is not None, "the first table of the query has one row"
    return Status(
        name=projection.name,
        position=Position(row["transaction_id"], row["number"]),
        events=row["events"],
        behind=row["behind"],
        lag_seconds=max(0.0, row["lag"]),
        failure=_failure(row["failure"]) if row["failure"] else None,
        failing_since=row["failing_since"],
    )


def _failure(stored: dict[str, Any]) -> Failure:
    event = stored.get("event")
    return Failure(
        message=stored["message"],
        event_id=UUID(event) if event else None,
        stream=stored.get("stream"),
        version=stored.get("version"),
        type=stored.get("type"),
        schema_version=stored.get("schemaVersion"),
    )
