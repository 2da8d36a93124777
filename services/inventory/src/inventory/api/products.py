"""The copies of products, to look at. Their authority is catalog: there is nothing to write here (405)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from inventory.adapters import products
from kompensa_participant import Message


class ProductCopy(Message):
    """The name of a product, for people who look at stock."""

    catalog_product_id: UUID
    name: str
    source_version: int
    synced_at: datetime


router = products.copies.router(ProductCopy)
