"""The streams of orders: events of the domain as stored ones, and the load, decision and append of a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from kompensa_eventstore import EventStore, EventTypes, NewEvent, Provenance, StoredEvent, decide
from kompensa_participant import Problem
from kompensa_participant.context import current
from orders.domain.aggregate import OrderAggregate, load
from orders.domain.events import (
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderedItem,
    OrderEvent,
    OrderShipped,
    PaymentProcessed,
)

Connection = AsyncConnection[Any]
Decision = Callable[[OrderAggregate], OrderEvent]

TYPES = EventTypes.from_folder(Path(__file__).parents[1] / "events")
ORDERS = EventStore("Order", TYPES)


async def create(connection: Connection, event: OrderCreated) -> list[StoredEvent]:
    """Begin the stream of a new order."""
    return await ORDERS.append(
        connection, ORDERS.stream(event.order_id), [new_event(event)], expected_version=0, provenance=provenance()
    )


async def append_decision(connection: Connection, order_id: UUID, decision: Decision) -> list[StoredEvent]:
    """Load the order, decide, and append. If another writer was faster, load and decide again, a few times.

    Raises
    ------
    Problem
        404 `unknown-order`, and whatever the decision refuses.
    VersionConflictError
        If another writer was faster each time.
    """

    def decided(events: Sequence[StoredEvent]) -> Sequence[NewEvent]:
        order = load(domain_event(event) for event in events)
        if order is None:
            raise unknown_order(order_id)
        return [new_event(decision(order))]

    return await decide(ORDERS, connection, ORDERS.stream(order_id), decided, provenance=provenance())


async def read(connection: Connection, order_id: UUID, *, until: datetime | None = None) -> list[StoredEvent]:
    """The events of an order, up to an instant; none if it is unknown or has none yet."""
    return await ORDERS.read(connection, ORDERS.stream(order_id), until=until)


def unknown_order(order_id: UUID) -> Problem:
    return Problem(404, "unknown-order", f"order {order_id} does not exist")


def provenance() -> Provenance:
    """The origin of an event: caller, saga and trace of the request that is being served (S55)."""
    request = current()
    trace = UUID(hex=request.trace_id) if request.trace_id else None
    return Provenance(
        actor=request.caller,
        correlation_id=request.saga_id or trace,
        saga_id=request.saga_id,
        traceparent=request.traceparent,
    )


def new_event(event: OrderEvent) -> NewEvent:
    """The event as the store takes it, with the field names of S51."""
    match event:
        case OrderCreated():
            data = {
                "customerId": event.customer_id,
                "items": [_item(item) for item in event.items],
                "totalAmount": f"{event.total_amount:.2f}",
                "createdAt": event.created_at,
            }
            return _new("ORDER_CREATED", event.order_id, event.created_at, data)
        case PaymentProcessed():
            paid = {"paymentId": event.payment_id, "amount": f"{event.amount:.2f}", "processedAt": event.processed_at}
            return _new("PAYMENT_PROCESSED", event.order_id, event.processed_at, paid)
        case OrderShipped():
            shipped = {"trackingNumber": event.tracking_number, "shippedAt": event.shipped_at}
            return _new("ORDER_SHIPPED", event.order_id, event.shipped_at, shipped)
        case OrderDelivered():
            return _new("ORDER_DELIVERED", event.order_id, event.delivered_at, {"deliveredAt": event.delivered_at})
        case OrderCancelled():
            cancelled = {"reason": event.reason, "cancelledAt": event.cancelled_at}
            return _new("ORDER_CANCELLED", event.order_id, event.cancelled_at, cancelled)


def domain_event(stored: StoredEvent) -> OrderEvent:
    """The event as the domain knows it."""
    order_id, data = UUID(stored.data["orderId"]), stored.data
    match stored.type:
        case "ORDER_CREATED":
            return OrderCreated(
                order_id=order_id,
                customer_id=UUID(data["customerId"]),
                items=tuple(_item_of(item) for item in data["items"]),
                total_amount=Decimal(data["totalAmount"]),
                created_at=datetime.fromisoformat(data["createdAt"]),
            )
        case "PAYMENT_PROCESSED":
            return PaymentProcessed(
                order_id=order_id,
                payment_id=UUID(data["paymentId"]) if data["paymentId"] else None,
                amount=Decimal(data["amount"]),
                processed_at=datetime.fromisoformat(data["processedAt"]),
            )
        case "ORDER_SHIPPED":
            shipped_at = datetime.fromisoformat(data["shippedAt"])
            return OrderShipped(order_id=order_id, tracking_number=data["trackingNumber"], shipped_at=shipped_at)
        case "ORDER_DELIVERED":
            return OrderDelivered(order_id=order_id, delivered_at=datetime.fromisoformat(data["deliveredAt"]))
        case "ORDER_CANCELLED":
            cancelled_at = datetime.fromisoformat(data["cancelledAt"])
            return OrderCancelled(order_id=order_id, reason=data["reason"], cancelled_at=cancelled_at)
        case other:
            raise ValueError(f"{other} is not an event of an order; add it to domain_event")


def _new(type_: str, order_id: UUID, occurred_at: datetime, data: dict[str, Any]) -> NewEvent:
    return NewEvent(type=type_, data={"orderId": order_id, **data}, occurred_at=occurred_at)


def _item(item: OrderedItem) -> dict[str, Any]:
    return {
        "productId": item.product_id,
        "name": item.name,
        "quantity": item.quantity,
        "price": f"{item.price:.2f}",
    }


def _item_of(data: dict[str, Any]) -> OrderedItem:
    return OrderedItem(
        product_id=UUID(data["productId"]),
        name=data["name"],
        quantity=data["quantity"],
        price=Decimal(data["price"]),
    )
