"""The five events of an order (S51). They have happened, so nothing here rejects them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class OrderedItem:
    """One line, with the product's name and the price for one piece as they were at the order."""

    product_id: UUID
    name: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, kw_only=True)
class OrderCreated:
    order_id: UUID
    customer_id: UUID
    items: tuple[OrderedItem, ...]
    total_amount: Decimal
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class PaymentProcessed:
    """`payment_id` is None if it was not recorded: in sagas that began before orders had events."""

    order_id: UUID
    payment_id: UUID | None
    amount: Decimal
    processed_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderShipped:
    order_id: UUID
    tracking_number: str
    shipped_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderDelivered:
    order_id: UUID
    delivered_at: datetime


@dataclass(frozen=True, kw_only=True)
class OrderCancelled:
    order_id: UUID
    reason: str
    cancelled_at: datetime


OrderEvent = OrderCreated | PaymentProcessed | OrderShipped | OrderDelivered | OrderCancelled
