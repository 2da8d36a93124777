"""Commands on orders. Each loads the order, decides, and appends the event; the tables follow in the same transaction.

A cancelled order keeps its events and its row.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection

from kompensa_eventstore import StoredEvent, VersionConflictError
from kompensa_participant import Problem, Refused
from orders.adapters import adoption, customers, order_events, order_rows, products
from orders.domain import decisions
from orders.domain.events import OrderedItem
from orders.domain.order import Line, check

Connection = AsyncConnection[Any]

UNDONE = "the saga that placed the order was undone"


async def create(
    connection: Connection, saga_id: UUID, *, customer_id: UUID, lines: Sequence[Line], total: Decimal
) -> dict[str, Any]:
    """A pending order; it is confirmed by the saga's last step. The reply has the items with their names."""
    if not await customers.keep(connection, customer_id):
        raise Refused("unknown-customer", f"customer {customer_id} does not exist")
    ordered = await products.of(connection, [line.product_id for line in lines])
    check(lines, total, ordered)
    created = decisions.create(uuid4(), customer_id=customer_id, lines=lines, products=ordered, now=datetime.now(UTC))
    await order_events.create(connection, created)
    await order_rows.insert(connection, created, saga_id)
    return {
        "orderId": str(created.order_id),
        "customerId": str(customer_id),
        "items": [_item(item) for item in created.items],
    }


def _item(item: OrderedItem) -> dict[str, Any]:
    return {
        "productId": str(item.product_id),
        "name": item.name,
        "quantity": item.quantity,
        "price": f"{item.price:.2f}",
    }


async def confirm(
    connection: Connection, saga_id: UUID, order_id: UUID, *, payment_id: UUID | None = None
) -> dict[str, Any]:
    """Record the payment of a saga's pending order, which is then confirmed."""
    row = await order_rows.find(connection, order_id)
    if row is None or row["saga_id"] != saga_id:
        raise Refused("order-not-pending", f"saga {saga_id} has no pending order {order_id}", status=409)
    now = datetime.now(UTC)
    await _execute(connection, order_id, lambda order: decisions.record_payment(order, payment_id=payment_id, now=now))
    return {"orderId": str(order_id), "status": "confirmed"}


async def cancel(connection: Connection, order_id: UUID) -> dict[str, Any]:
    """Cancel a pending order. A confirmed one stands: its saga is past the point of return."""
    now = datetime.now(UTC)
    await _execute(connection, order_id, lambda order: decisions.cancel(order, reason=UNDONE, now=now))
    return {"orderId": str(order_id), "status": "cancelled"}


async def ship(
    connection: Connection, order_id: UUID, *, tracking_number: str, at: datetime | None = None
) -> StoredEvent:
    """Ship a paid order, now or at the time that shipping reports."""
    when = at or datetime.now(UTC)
    return await _execute(
        connection, order_id, lambda order: decisions.ship(order, tracking_number=tracking_number, now=when)
    )


async def deliver(connection: Connection, order_id: UUID, *, at: datetime | None = None) -> StoredEvent:
    """Record that a shipped order has arrived, now or at the time that shipping reports."""
    when = at or datetime.now(UTC)
    return await _execute(connection, order_id, lambda order: decisions.deliver(order, now=when))


async def locked_status(connection: Connection, order_id: UUID) -> str:
    """The status of an order, which no other transaction changes before this transaction ends.

    Raises
    ------
    Problem
        404 `unknown-order`.
    """
    await adoption.adopt(connection, order_id)
    row = await order_rows.find(connection, order_id)
    if row is None:
        raise order_events.unknown_order(order_id)
    return str(row["status"])


async def _execute(connection: Connection, order_id: UUID, decision: order_events.Decision) -> StoredEvent:
    """Decide on an order and append. The row follows.

    Raises
    ------
    Problem
        404 `unknown-order`; 409, as the decision refuses; 503 `order-busy` if other writers were faster each time.
    """
    await adoption.adopt(connection, order_id)
    try:
        events = await order_events.append_decision(connection, order_id, decision)
    except VersionConflictError as error:
        detail = f"order {order_id} is being changed by others; ask again"
        raise Problem(503, "order-busy", detail, headers={"Retry-After": "1"}) from error
    await order_rows.follow(connection, events)
    return events[-1]
