"""One row for each order (S60), which follows all five events (S61)."""

from __future__ import annotations

from typing import Any

from kompensa_eventstore import StoredEvent
from kompensa_eventstore.projections import Projection, Rows, Table
from orders.adapters.order_events import domain_event
from orders.domain.aggregate import Status, status_after

TABLE = "order_projections"

ORDER_PROJECTION = Projection(
    "order_projections",
    Table(
        name=TABLE,
        key=("order_id",),
        key_of=lambda event: {"order_id": event.stream.aggregate_id},
        created_by=["ORDER_CREATED"],
    ),
    aggregates=["Order"],
)


@ORDER_PROJECTION.on("ORDER_CREATED")
async def created(rows: Rows, event: StoredEvent) -> None:
    """The row of a new order."""
    rows.put(
        TABLE,
        {
            "order_id": event.stream.aggregate_id,
            "customer_id": event.data["customerId"],
            "total_amount": event.data["totalAmount"],
            "item_count": len(event.data["items"]),
            "created_at": event.occurred_at,
            **_after(event, Status.PENDING),
        },
    )


@ORDER_PROJECTION.on("PAYMENT_PROCESSED", "ORDER_SHIPPED", "ORDER_DELIVERED", "ORDER_CANCELLED")
async def changed(rows: Rows, event: StoredEvent) -> None:
    """The status after a later event."""
    row = await rows.get(TABLE, order_id=event.stream.aggregate_id)
    if row is None or row["version"] != event.version - 1:
        found = "none" if row is None else row["version"]
        raise LookupError(f"{event.stream}: version {event.version} does not follow version {found}")
    rows.put(TABLE, {**row, **_after(event, status_after(domain_event(event)))})


def _after(event: StoredEvent, status: Status) -> dict[str, Any]:
    return {"status": status.value, "version": event.version, "last_updated_at": event.occurred_at}
