"""The copies of products, to look at. Their authority is catalog: there is nothing to write here (405)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from kompensa_participant import Message, Money
from orders.adapters import products


class ProductCopy(Message):
    """The fields of a product that an order is checked against, and no others."""

    catalog_product_id: UUID
    name: str
    price: Money
    currency: str
    status: str
    source_version: int
    synced_at: datetime


router = products.copies.router(ProductCopy)
