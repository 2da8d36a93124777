"""The copies of products, to look at. Their authority is catalog: there is nothing to write here (405)."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter

from kompensa_participant import After, Database, Limit, Message, Money, Problem
from orders.adapters import products

router = APIRouter(prefix="/products", tags=["products (copies)"])


class ProductCopy(Message):
    """The fields of a product that an order is checked against, and no others."""

    catalog_product_id: UUID
    name: str
    price: Money
    currency: str
    status: str
    source_version: int
    synced_at: datetime


@router.get("")
async def listing(database: Database, limit: Limit = 100, after: After = None) -> list[ProductCopy]:
    """Return up to `limit` copied products in the order of their ids, from the one after `after`; no deleted ones."""
    return [ProductCopy(**row) for row in await products.page(database, limit=limit, after=after)]


@router.get("/{catalog_product_id}")
async def get(catalog_product_id: UUID, database: Database) -> ProductCopy:
    """Return the copy of one product; 404 not-copied if there is none or the product was deleted."""
    row = await products.find(database, catalog_product_id)
    if row is None:
        raise Problem(404, "not-copied", f"there is no copy of product {catalog_product_id} here")
    return ProductCopy(**row)
