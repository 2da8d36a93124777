"""Endpoints of a service with reactions: how they are doing, and the events that wait.

They show no content of events, which may be personal. Events are retried and discarded on the command line, with the
database's own login: `python3 -m <service> events` (see commands.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request

from kompensa_participant.endpoints import Database
from kompensa_participant.paging import Limit
from kompensa_participant.problem import Problem
from kompensa_participant.reactions import inbox
from kompensa_participant.reactions.inbox import InboxRow

router = APIRouter(prefix="/reactions", tags=["process"])

State = Literal["Retrying", "Held", "Parked", "Discarded", "Handled"]
States = Annotated[
    list[State] | None, Query(alias="state", description="Only these states; by default those that wait.")
]
After = Annotated[int, Query(ge=0, description="The last position of the page before.")]


@router.get("")
async def reactions(request: Request) -> dict[str, Any]:
    """The state of the reactions: lag, events that wait, problems."""
    consumer = request.app.state.reactions
    if consumer is None:
        problem = "the reactions do not run: KOMPENSA_KAFKA is not set"
        return {"ready": False, "problems": [problem]}
    return dict(consumer.progress.as_json())


@router.get("/events")
async def waiting_events(
    database: Database, state: States = None, after: After = 0, limit: Limit = 100
) -> dict[str, Any]:
    """Events of the inbox in the order of arrival, without their content."""
    found = await inbox.list_events(database, state or inbox.WAITING, after=after, limit=limit)
    return {"events": [as_json(row) for row in found]}


@router.get("/events/{event_id}")
async def event(event_id: UUID, database: Database) -> dict[str, Any]:
    """One event of the inbox, without its content."""
    row = await inbox.find(database, event_id)
    if row is None:
        raise Problem(404, "unknown-event", f"event {event_id} has not arrived in this service")
    return as_json(row)


def as_json(row: InboxRow) -> dict[str, Any]:
    """The members of an event, with the names that people see."""
    return {
        "eventId": str(row.event_id),
        "position": row.position,
        "state": row.state,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.record_offset,
        "key": row.key,
        "type": row.event_type,
        "ordered": row.ordered,
        "attempts": row.attempts,
        "error": row.error,
        "receivedAt": row.received_at.isoformat(),
        "nextAttemptAt": row.next_attempt_at and row.next_attempt_at.isoformat(),
        "settledAt": row.settled_at and row.settled_at.isoformat(),
    }
