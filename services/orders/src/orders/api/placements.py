"""Place an order by events: the request is accepted at once, and its outcome is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter
from pydantic import Field

from kompensa_participant import Database, Message, Money, Problem
from kompensa_participant.context import current, handling
from orders.adapters import placements
from orders.api.orders import Item

router = APIRouter(prefix="/placements", tags=["orders"])


class PlaceOrder(Message):
    """A caller that may ask twice chooses `sagaId` itself, so that both requests are one."""

    saga_id: UUID | None = None
    customer_id: UUID
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    total_amount: Annotated[Money, Field(gt=0)]
    payment_method_id: Annotated[str, Field(min_length=1, max_length=64, examples=["pm-abc"])]
    deadline_seconds: Annotated[float, Field(gt=0, le=3600)] = 300


class Placement(Message):
    """`status` is running, undoing, placed or failed."""

    saga_id: UUID
    status: Annotated[str, Field(examples=["running", "placed", "failed"])]
    detail: str | None = None
    order_id: UUID | None = None
    deadline: datetime
    created_at: datetime
    ended_at: datetime | None = None


@router.post("", status_code=202)
async def place(body: PlaceOrder, database: Database) -> Placement:
    """Begin to place an order; ask for its outcome at /placements/{sagaId}."""
    saga = body.saga_id or uuid4()
    request = body.model_dump(mode="json", by_alias=True, exclude={"saga_id", "deadline_seconds"})
    with handling(saga, current().traceparent, current().caller):
        await placements.begin(database, saga, request, seconds=body.deadline_seconds)
    placement = await _find(database, saga)
    if placement["request"] != request:
        raise Problem(422, "saga-id-reused", f"saga {saga} places another order; choose a new sagaId")
    return _as_message(placement)


@router.get("/{saga_id}")
async def get(saga_id: UUID, database: Database) -> Placement:
    """Return how far an order is; 404 unknown-placement."""
    return _as_message(await _find(database, saga_id))


async def _find(connection: placements.Connection, saga_id: UUID) -> dict[str, Any]:
    row = await placements.find(connection, saga_id)
    if row is None:
        raise Problem(404, "unknown-placement", f"saga {saga_id} is not placed by events")
    return row


def _as_message(row: Mapping[str, Any]) -> Placement:
    failed = row["status"] in ("undoing", "failed")
    return Placement(
        saga_id=row["saga_id"],
        status=row["status"],
        detail=f"Order creation failed: {row['reason']}" if failed else None,
        order_id=row["order_id"],
        deadline=row["deadline"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )
