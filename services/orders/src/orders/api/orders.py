"""The saga's steps create-order (with its compensation) and confirm-order, and reading orders."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, Field

from kompensa_participant import Action, After, Compensation, Database, Limit, Message, Money, SagaReference, entity_tag
from orders.adapters import history, order_rows, orders
from orders.adapters.order_events import unknown_order
from orders.domain.order import Line

router = APIRouter(prefix="/orders", tags=["orders"])

Instant = Annotated[AwareDatetime | None, Query(description="With a time zone, for example 2026-01-31T12:00:00Z.")]


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
    """`paymentId` is absent in sagas that began before orders had events."""

    saga_id: UUID
    order_id: UUID
    payment_id: UUID | None = None


class ShipOrder(Message):
    tracking_number: Annotated[str, Field(min_length=1, max_length=100, examples=["BR-123456789"])]


class OrderConfirmed(Message):
    order_id: UUID
    status: Annotated[str, Field(examples=["confirmed"])]


class OrderHead(Message):
    """`status` is pending until the saga confirms the order, that is, until its payment is recorded."""

    id: UUID
    saga_id: UUID
    customer_id: UUID
    total_amount: Money
    status: Annotated[str, Field(examples=["pending", "confirmed", "shipped", "delivered", "cancelled"])]
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
    """Record the payment of the saga's pending order, which confirms it; 409 order-not-pending."""
    return await action.once(
        lambda tx: orders.confirm(tx, action.saga_id, body.order_id, payment_id=body.payment_id),
        effect="Order {orderId} confirmed",
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
    rows = await order_rows.page(database, limit=limit, after=after, customer_id=customer_id, saga_id=saga_id)
    return [OrderHead(**row) for row in rows]


@router.post("/{order_id}/ship", tags=["commands"])
async def ship(order_id: UUID, body: ShipOrder, database: Database, response: Response) -> Order:
    """Ship a paid order; 404 unknown-order, 409 order-not-paid, order-cancelled, order-already-shipped. The ETag is the
    version to ask projections for."""
    event = await orders.ship(database, order_id, tracking_number=body.tracking_number)
    response.headers["ETag"] = entity_tag(event.version)
    return await get(order_id, database)


@router.post("/{order_id}/deliver", tags=["commands"])
async def deliver(order_id: UUID, database: Database, response: Response) -> Order:
    """Record that an order has arrived; 404 unknown-order, 409 order-not-shipped, order-cancelled,
    order-already-delivered. The ETag is the version to ask projections for."""
    event = await orders.deliver(database, order_id)
    response.headers["ETag"] = entity_tag(event.version)
    return await get(order_id, database)


@router.get("/{order_id}")
async def get(order_id: UUID, database: Database, at: Instant = None) -> Order:
    """Return one order with its items, now or as it was at an instant; 404 unknown-order, not-yet-created; 422
    instant-in-the-future."""
    row = await order_rows.find(database, order_id)
    if row is None:
        raise unknown_order(order_id)
    if at is None:
        return Order(**row)
    return Order(**await history.order_at(database, row, at))
