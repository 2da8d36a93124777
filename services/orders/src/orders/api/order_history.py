"""The audit of an order: each event, with its actor and its time (S55)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kompensa_eventstore import StoredEvent
from kompensa_participant import Database, Message
from orders.adapters import history

router = APIRouter(prefix="/orders", tags=["orders"])


class RecordedEvent(Message):
    """A stored event (S52). `eventVersion` counts the events of the order from 1.

    `actor` is the caller whose request caused the event, `orders` for an event that was added to an order from before
    orders had events, or null if callers are not checked.
    """

    event_id: UUID
    aggregate_id: UUID
    aggregate_type: str
    event_type: Annotated[str, Field(examples=["ORDER_SHIPPED"])]
    event_data: Mapping[str, Any]
    event_version: int
    occurred_at: datetime
    actor: str | None
    correlation_id: UUID | None
    causation_id: UUID | None
    saga_id: UUID | None
    traceparent: str | None

    @classmethod
    def of(cls, event: StoredEvent) -> RecordedEvent:
        origin = event.provenance
        return cls(
            event_id=event.id,
            aggregate_id=event.stream.aggregate_id,
            aggregate_type=event.stream.aggregate_type,
            event_type=event.type,
            event_data=event.data,
            event_version=event.version,
            occurred_at=event.occurred_at,
            actor=origin.actor,
            correlation_id=origin.correlation_id,
            causation_id=origin.causation_id,
            saga_id=origin.saga_id,
            traceparent=origin.traceparent,
        )


@router.get("/{order_id}/events")
async def events(order_id: UUID, database: Database) -> list[RecordedEvent]:
    """Return all events of one order, the oldest first; 404 unknown-order."""
    return [RecordedEvent.of(event) for event in await history.events_of(database, order_id)]
