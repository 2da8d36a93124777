"""An order, rebuilt from its events (S54). Pure functions: the same events always give the same order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from functools import reduce
from uuid import UUID

from orders.domain.events import (
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderedItem,
    OrderEvent,
    OrderShipped,
    PaymentProcessed,
)


class Status(Enum):
    """The status of an order by its last event. `row_status` translates it for the table `orders`."""

    PENDING = "pending"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True)
class OrderAggregate:
    """The state of an order after some of its events. Each event but the first changes the status."""

    order_id: UUID
    customer_id: UUID
    items: tuple[OrderedItem, ...]
    total_amount: Decimal
    status: Status


class StreamBrokenError(ValueError):
    """Events that are not the stream of one order: the first does not create it, or a later one does."""


def load(events: Iterable[OrderEvent]) -> OrderAggregate | None:
    """The order after these events, in their order; None before the first.

    Raises
    ------
    StreamBrokenError
        If the events are not those of one order.
    """
    return reduce(apply, events, None)


def apply(order: OrderAggregate | None, event: OrderEvent) -> OrderAggregate:
    """The order after one more event.

    Raises
    ------
    StreamBrokenError
        If the order was created already, was not created yet, or is another.
    """
    if isinstance(event, OrderCreated):
        if order is not None:
            raise StreamBrokenError(f"order {event.order_id} was created already")
        return _created(event)
    if order is None or order.order_id != event.order_id:
        raise StreamBrokenError(f"{type(event).__name__} of order {event.order_id}, which this stream did not create")
    return replace(order, status=status_after(event))


def status_after(event: OrderEvent) -> Status:
    """The status of an order whose last event this is."""
    match event:
        case OrderCreated():
            return Status.PENDING
        case PaymentProcessed():
            return Status.PAID
        case OrderShipped():
            return Status.SHIPPED
        case OrderDelivered():
            return Status.DELIVERED
        case OrderCancelled():
            return Status.CANCELLED


def row_status(status: Status) -> str:
    """The status in the table `orders` and in the API, where a paid order is called confirmed (S42, S75)."""
    return "confirmed" if status is Status.PAID else status.value


def _created(event: OrderCreated) -> OrderAggregate:
    return OrderAggregate(
        order_id=event.order_id,
        customer_id=event.customer_id,
        items=event.items,
        total_amount=event.total_amount,
        status=status_after(event),
    )
