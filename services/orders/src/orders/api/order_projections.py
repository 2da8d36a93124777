"""Reading orders and revenue from projections (S62). A projection may be a moment behind the commands."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import Field

from kompensa_participant import Database, Limit, Message, Money, Problem, Refused
from kompensa_participant.endpoints import pool_of
from kompensa_participant.projections import Cursor, MinVersion, at_version
from orders.projections import queries

router = APIRouter(tags=["projections"])

Status = Literal["pending", "paid", "shipped", "delivered", "cancelled"]


class OrderProjection(Message):
    """An order (S60). `version` counts its events. `customerName` is null if the customer was deleted."""

    order_id: UUID
    customer_id: UUID
    customer_name: str | None
    total_amount: Money
    status: Status
    item_count: int
    version: int
    created_at: datetime
    last_updated_at: datetime


class OrderPage(Message):
    """Orders, the newest first. `next` is the `cursor` of the page after them, or null."""

    orders: list[OrderProjection]
    next: str | None


class ProductRevenue(Message):
    """The payments for a product on a day (UTC). `productName` is that of the day's last order."""

    catalog_product_id: UUID
    product_name: str
    day: date
    quantity: int
    revenue: Annotated[str, Field(examples=["1299.90"])]


@router.get("/order-projections/{order_id}")
async def by_id(order_id: UUID, request: Request, min_version: MinVersion = 0) -> OrderProjection:
    """Return one order. With `minVersion`, wait for up to 2 s until the projection has that version; 504
    projection-behind if it has not. 404 unknown-order if it is not projected."""
    row = await at_version(pool_of(request), lambda connection: queries.order_by_id(connection, order_id), min_version)
    if row is None:
        detail = f"order {order_id} is not projected; if it was just created, ask with minVersion=1"
        raise Problem(404, "unknown-order", detail)
    return OrderProjection(**row)


@router.get("/order-projections")
async def listing(
    database: Database,
    limit: Limit = 100,
    cursor: Cursor = None,
    customer_id: Annotated[UUID | None, Query(alias="customerId")] = None,
    status: Status | None = None,
) -> OrderPage:
    """Return the orders of a customer, or those in a status, the newest first; 422 filter-needed if not exactly one
    of the two is given, cursor-invalid."""
    if customer_id is not None and status is None:
        page = await queries.customer_orders(database, customer_id, limit=limit, cursor=cursor)
    elif status is not None and customer_id is None:
        page = await queries.orders_by_status(database, status, limit=limit, cursor=cursor)
    else:
        raise Refused("filter-needed", "give either customerId or status")
    return OrderPage(orders=[OrderProjection(**row) for row in page.rows], next=page.next)


@router.get("/product-revenue/{product_id}")
async def revenue(product_id: UUID, database: Database, limit: Limit = 31) -> list[ProductRevenue]:
    """Return the revenue of a product by day, the newest first; none if nothing was paid for it."""
    rows = await queries.revenue_of(database, product_id, limit=limit)
    return [ProductRevenue(**{**row, "revenue": f"{row['revenue']:.2f}"}) for row in rows]
