"""GET /status: position, lag and failure of each projection."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from kompensa_eventstore.projections import Failure, Status
from kompensa_participant.endpoints import Database
from kompensa_participant.messages import Message
from kompensa_participant.projections.running import RunningProjections

router = APIRouter(tags=["process"])


class ProjectionFailure(Message):
    """The error that stops a projection, and the event at which it stopped, unless no event is at fault."""

    message: str
    event_id: UUID | None
    stream: Annotated[str | None, Field(examples=["Order/7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0001"])]
    version: int | None
    type: str | None
    schema_version: str | None
    since: datetime | None

    @classmethod
    def of(cls, failure: Failure, since: datetime | None) -> ProjectionFailure:
        return cls(
            message=failure.message,
            event_id=failure.event_id,
            stream=failure.stream,
            version=failure.version,
            type=failure.type,
            schema_version=failure.schema_version,
            since=since,
        )


class ProjectionState(Message):
    """`behind` counts up to 10,000. `trouble` says why this pod cannot run the projection at all."""

    name: str
    position: Annotated[str, Field(examples=["731/12"])]
    events: int
    behind: int
    lag_seconds: float
    failure: ProjectionFailure | None
    trouble: str | None

    @classmethod
    def of(cls, status: Status, trouble: str | None) -> ProjectionState:
        return cls(
            name=status.name,
            position=str(status.position),
            events=status.events,
            behind=status.behind,
            lag_seconds=status.lag_seconds,
            failure=ProjectionFailure.of(status.failure, status.failing_since) if status.failure else None,
            trouble=trouble,
        )


class ServiceStatus(Message):
    projections: list[ProjectionState]


@router.get("/status")
async def status(request: Request, database: Database) -> ServiceStatus:
    """Return how far the service's projections are, and what stops them."""
    running: RunningProjections = request.app.state.projections
    states = [ProjectionState.of(found, running.troubles.get(found.name)) for found in await running.statuses(database)]
    return ServiceStatus(projections=states)
