"""The copies of customers' payment methods, to look at. Their authority is orders: nothing is written here (405)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from kompensa_participant import Message
from payments.adapters import customers


class CustomerCopy(Message):
    """The payment methods of a customer, and no other field of the customer."""

    orders_customer_id: UUID
    payment_methods: list[dict[str, Any]]
    source_version: int
    synced_at: datetime


router = customers.copies.router(CustomerCopy)
