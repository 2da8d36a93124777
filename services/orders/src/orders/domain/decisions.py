"""Decisions: from an order as it is to the event that follows, or a refusal (409). They are pure (F4).

An order goes one way: pending, paid, shipped, delivered. Only a pending one can be cancelled, because nothing pays
back a paid one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from kompensa_participant import Refused
from orders.domain.aggregate import OrderAggregate, Status
from orders.domain.events import (
    OrderCancelled,
    OrderCreated,
    OrderDelivered,
    OrderedItem,
    OrderShipped,
    PaymentProcessed,
)
from orders.domain.order import Line, Product, total_of


def create(
    order_id: UUID, *, customer_id: UUID, lines: Sequence[Line], products: Mapping[UUID, Product], now: datetime
) -> OrderCreated:
    """Create an order. Its total is computed from the lines. `check` must have accepted them."""
    return OrderCreated(
        order_id=order_id,
        customer_id=customer_id,
        items=tuple(
            OrderedItem(
                product_id=line.product_id,
                name=products[line.product_id].name,
                quantity=line.quantity,
                price=line.price,
            )
            for line in lines
        ),
        total_amount=total_of(lines),
        created_at=now,
    )


def record_payment(order: OrderAggregate, *, payment_id: UUID | None, now: datetime) -> PaymentProcessed:
    """Record that the whole amount was paid.

    Raises
    ------
    Refused
        409 `order-not-pending`.
    """
    _require_pending(order, "confirmed")
    return PaymentProcessed(order_id=order.order_id, payment_id=payment_id, amount=order.total_amount, processed_at=now)


def ship(order: OrderAggregate, *, tracking_number: str, now: datetime) -> OrderShipped:
    """Ship a paid order, once.

    Raises
    ------
    Refused
        409 `order-not-paid`, `order-cancelled`, `order-already-shipped`.
    """
    match order.status:
        case Status.PENDING:
            raise _refused("order-not-paid", order, "cannot be shipped before it is paid")
        case Status.CANCELLED:
            raise _refused("order-cancelled", order, "cannot be shipped")
        case Status.SHIPPED | Status.DELIVERED:
            raise _refused("order-already-shipped", order, "cannot be shipped again")
        case Status.PAID:
            return OrderShipped(order_id=order.order_id, tracking_number=tracking_number, shipped_at=now)


def deliver(order: OrderAggregate, *, now: datetime) -> OrderDelivered:
    """Record that a shipped order has arrived, once.

    Raises
    ------
    Refused
        409 `order-not-shipped`, `order-cancelled`, `order-already-delivered`.
    """
    match order.status:
        case Status.PENDING | Status.PAID:
            raise _refused("order-not-shipped", order, "cannot be delivered before it is shipped")
        case Status.CANCELLED:
            raise _refused("order-cancelled", order, "cannot be delivered")
        case Status.DELIVERED:
            raise _refused("order-already-delivered", order, "cannot be delivered again")
        case Status.SHIPPED:
            return OrderDelivered(order_id=order.order_id, delivered_at=now)


def cancel(order: OrderAggregate, *, reason: str, now: datetime) -> OrderCancelled:
    """Cancel a pending order.

    Raises
    ------
    Refused
        409 `order-not-pending`.
    """
    _require_pending(order, "cancelled")
    return OrderCancelled(order_id=order.order_id, reason=reason, cancelled_at=now)


def _require_pending(order: OrderAggregate, wanted: str) -> None:
    if order.status is not Status.PENDING:
        raise _refused("order-not-pending", order, f"cannot be {wanted}; only a pending order can")


def _refused(slug: str, order: OrderAggregate, what: str) -> Refused:
    return Refused(slug, f"order {order.order_id} is {order.status.value} and {what}", status=409)
