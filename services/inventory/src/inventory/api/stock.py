"""Looking at stock and counting it."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from inventory.adapters import stock
from kompensa_participant import After, Database, Form, Limit, Message, Problem

router = APIRouter(prefix="/stock", tags=["stock"])


class Count(Form):
    """How many pieces are free to be reserved."""

    on_hand: Annotated[int, Field(ge=0, le=1_000_000_000, strict=True, examples=[100])]


class Stock(Message):
    """One product's pieces. They add up: counted in = on hand + reserved + sold. `name` is null until the product's
    copy has arrived."""

    product_id: UUID
    name: str | None
    on_hand: int
    reserved: int
    sold: int


@router.put("/{product_id}")
async def count(product_id: UUID, body: Count, database: Database) -> Stock:
    """Set what is on hand; the difference goes to the ledger."""
    await stock.set_on_hand(database, product_id, body.on_hand)
    return await get(product_id, database)


@router.get("")
async def listing(database: Database, limit: Limit = 100, after: After = None) -> list[Stock]:
    """Return up to `limit` products with their stock in the order of their ids, from the one after `after`."""
    return [Stock(**row) for row in await stock.page(database, limit=limit, after=after)]


@router.get("/{product_id}")
async def get(product_id: UUID, database: Database) -> Stock:
    """Return how many pieces of a product are on hand and reserved; 404 unknown-product."""
    row = await stock.find(database, product_id)
    if row is None:
        raise Problem(404, "unknown-product", f"product {product_id} is not kept here")
    return Stock(**row)
