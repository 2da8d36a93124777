"""Orders as shipping knows them: by their events, and only as far as a shipment needs (S18)."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from kompensa_participant import Refused


class OrderStatus(StrEnum):
    """Whether an order may be shipped."""

    PENDING = "pending"
    PAID = "paid"
    CANCELLED = "cancelled"


STATUS_AFTER = {
    "ORDER_CREATED": OrderStatus.PENDING,
    "PAYMENT_PROCESSED": OrderStatus.PAID,
    "ORDER_CANCELLED": OrderStatus.CANCELLED,
}
"""By the type of orders' event. The others, for example ORDER_SHIPPED, are results of what happened here."""


def require_shippable(order_id: UUID, status: OrderStatus) -> None:
    """Check that an order may be shipped.

    Raises
    ------
    Refused
        409 `order-not-paid`, `order-cancelled`.
    """
    match status:
        case OrderStatus.PENDING:
            detail = f"order {order_id} is not paid yet, as far as shipping knows; it can be shipped once it is"
            raise Refused("order-not-paid", detail, status=409)
        case OrderStatus.CANCELLED:
            raise Refused("order-cancelled", f"order {order_id} was cancelled and cannot be shipped", status=409)
        case OrderStatus.PAID:
            return
