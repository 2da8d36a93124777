"""Prices: what the service charges, whatever a caller claims."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from kompensa_participant import After, Database, Form, Limit, Message, Money
from orders.adapters import prices

router = APIRouter(prefix="/prices", tags=["prices"])


class PriceForm(Form):
    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Keyboard"])]
    unit_price: Annotated[Money, Field(gt=0)]


class Price(Message):
    product_id: UUID
    name: str
    unit_price: Money


@router.put("/{product_id}")
async def put(product_id: UUID, body: PriceForm, database: Database) -> Price:
    """Set what one piece costs from now on."""
    await prices.put(database, product_id, body.name, body.unit_price)
    return Price(product_id=product_id, name=body.name, unit_price=body.unit_price)


@router.get("")
async def listing(database: Database, limit: Limit = 100, after: After = None) -> list[Price]:
    """Return up to `limit` prices in the order of their ids, from the one after `after`."""
    return [Price(**row) for row in await prices.page(database, limit=limit, after=after)]
