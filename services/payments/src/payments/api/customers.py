"""The copies of customers' payment methods, to look at. Their authority is orders: nothing is written here (405)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from kompensa_participant import After, Database, Limit, Message, Problem
from payments.adapters import customers

router = APIRouter(prefix="/customers", tags=["customers (copies)"])


class CustomerCopy(Message):
    """The payment methods of a customer, and no other field of the customer."""

    orders_customer_id: UUID
    payment_methods: list[dict[str, Any]]
    source_version: int
    synced_at: datetime


@router.get("")
async def listing(database: Database, limit: Limit = 100, after: After = None) -> list[CustomerCopy]:
    """Return up to `limit` copied customers in the order of their ids, from the one after `after`; no deleted ones."""
    return [CustomerCopy(**row) for row in await customers.page(database, limit=limit, after=after)]


@router.get("/{orders_customer_id}")
async def get(orders_customer_id: UUID, database: Database) -> CustomerCopy:
    """Return the copy of one customer by the id that orders gave; 404 not-copied if there is none or it is deleted."""
    row = await customers.find(database, orders_customer_id)
    if row is None or row["deleted_at"] is not None:
        raise Problem(404, "not-copied", f"there is no copy of customer {orders_customer_id} here")
    return CustomerCopy(**row)
