"""The saga's steps create-order (with its compensation) and confirm-order, and reading orders."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from kompensa_participant import Action, After, Compensation, Database, Limit, Message, Money, Problem, SagaReference
from orders.adapters import orders
from orders.domain.order import Line

router = APIRouter(prefix="/orders", tags=["orders"])


class Item(Message):
    product_id: UUID
    quantity: Annotated[int, Field(strict=True, examples=[2])]
    price: Money

    def line(self) -> Line:
        return Line(product_id=self.product_id, quantity=self.quantity, price=self.price)


class NamedItem(Item):
    """`name` is the product's, as it was when the order was made."""

    name: str


class CreateOrder(Message):
    saga_id: UUID
    customer_id: UUID
    items: Annotated[list[Item], Field(min_length=1, max_length=200)]
    total_amount: Annotated[Money, Field(gt=0)]


class OrderCreated(Message):
    order_id: UUID
    customer_id: UUID
    items: list[NamedItem]


class ConfirmOrder(Message):
    saga_id: UUID
    order_id: UUID


class OrderConfirmed(Message):
    order_id: UUID
    status: Annotated[str, Field(examples=["confirmed"])]


class OrderHead(Message):
    """`status` is pending until the saga confirms the order: do not ship a pending one."""

    id: UUID
    saga_id: UUID
    customer_id: UUID
    total_amount: Money
    status: Annotated[str, Field(examples=["pending", "confirmed", "cancelled"])]
    created_at: datetime
    updated_at: datetime


class Order(OrderHead):
    items: list[NamedItem]


@router.post("", status_code=201, responses={201: {"model": OrderCreated}}, tags=["saga"])
async def create(body: CreateOrder, action: Action) -> Response:
    """Make a pending order, or refuse: 422 unknown-customer, invalid-quantity, product-withdrawn, product-deleted,
    currency-mismatch, price-mismatch, total-mismatch; 503 product-not-copied while a product's copy is on its way."""
    lines = [item.line() for item in body.items]
    return await action.once(
        lambda tx: orders.create(
            tx, action.saga_id, customer_id=body.customer_id, lines=lines, total=body.total_amount
        ),
        status=201,
        effect="Order {orderId} created for customer {customerId}",
    )


@router.post("/cancel", tags=["saga"])
async def cancel(_: SagaReference, compensation: Compensation) -> Response:
    """Cancel the saga's order."""
    return await compensation.once(
        lambda tx, created: orders.cancel(tx, UUID(created["orderId"])), effect="Order {orderId} cancelled"
    )


@router.post("/confirm", responses={200: {"model": OrderConfirmed}}, tags=["saga"])
async def confirm(body: ConfirmOrder, action: Action) -> Response:
    """Confirm the saga's pending order."""
    return await action.once(
        lambda tx: orders.confirm(tx, action.saga_id, body.order_id), effect="Order {orderId} confirmed"
    )


@router.get("")
async def listing(
    database: Database,
    limit: Limit = 100,
    after: After = None,
    customer_id: Annotated[UUID | None, Query(alias="customerId")] = None,
    saga_id: Annotated[UUID | None, Query(alias="sagaId")] = None,
) -> list[OrderHead]:
    """Return up to `limit` orders without their items, from the one after `after`; of one customer or saga if asked."""
    rows = await orders.page(database, limit=limit, after=after, customer_id=customer_id, saga_id=saga_id)
    return [OrderHead(**row) for row in rows]


@router.get("/{order_id}")
async def get(order_id: UUID, database: Database) -> Order:
    """Return one order with its items; 404 unknown-order."""
    row = await orders.find(database, order_id)
    if row is None:
        raise Problem(404, "unknown-order", f"order {order_id} does not exist")
    return Order(**row)
