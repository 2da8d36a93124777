"""The copies of customers, to look at. Their authority is orders: there is nothing to write here (405)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from kompensa_participant import Message
from shipping.adapters import customers


class CustomerCopy(Message):
    """The fields of a customer that a courier needs, and no others (S21). `phone` is empty if none is known."""

    id: UUID
    orders_customer_id: UUID
    email: str
    full_name: str
    phone: str
    shipping_address: dict[str, Any]
    source_version: int
    synced_at: datetime


router = customers.copies.router(CustomerCopy)
