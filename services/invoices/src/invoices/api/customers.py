"""The copies of customers, to look at. Their authority is orders: there is nothing to write here (405)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from invoices.adapters import customers
from kompensa_participant import Message


class CustomerCopy(Message):
    """The fields of a customer that an invoice needs, and no others (S20)."""

    id: UUID
    orders_customer_id: UUID
    email: str
    document: str
    full_name: str
    billing_address: dict[str, Any]
    source_version: int
    synced_at: datetime


router = customers.copies.router(CustomerCopy)
