"""Orders learns from shipping that an order was shipped and has arrived (S76).

An event of shipping has the full state of the shipment. The two topics have no common order, so the later event may
come first: it is then enough for both. If an order cannot be shipped, the event is parked with the reason.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from kompensa_participant import Message, Reactions, ReceivedEvent
from orders.adapters import orders

Connection = AsyncConnection[Any]
SHIPPED, DELIVERED = "shipped", "delivered"

reactions = Reactions()


class Shipment(Message):
    """The state of a shipment that was dispatched, and perhaps delivered."""

    order_id: UUID
    tracking_number: str
    dispatched_at: datetime
    delivered_at: datetime | None = None


@reactions.on("shipping.shipment-dispatched")
@reactions.on("shipping.shipment-delivered")
async def follow(tx: Connection, event: ReceivedEvent) -> None:
    """Append ORDER_SHIPPED and ORDER_DELIVERED, as far as the shipment is and the order is not."""
    shipment = event.read(Shipment)
    status = await orders.locked_status(tx, shipment.order_id)
    if status not in (SHIPPED, DELIVERED):
        await orders.ship(tx, shipment.order_id, tracking_number=shipment.tracking_number, at=shipment.dispatched_at)
    if shipment.delivered_at is not None and status != DELIVERED:
        await orders.deliver(tx, shipment.order_id, at=shipment.delivered_at)
