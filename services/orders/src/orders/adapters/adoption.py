"""Streams for orders that have none, or an incomplete one, while the service is up.

Before orders had events, a change was one UPDATE of the table `orders`. Such rows come from two places: they were there
before the upgrade, or pods of the release before still write them during a rolling deployment. A command first adopts
the order that it is about. `adopt_all` adopts the others in the background, in small batches. It needs no checkpoint,
because the rows that are left are those whose `stream_status` is not their `status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection, OperationalError
from psycopg.rows import scalar_row

from kompensa_eventstore import EventStoreError, Provenance
from kompensa_participant import Pool
from orders.adapters import order_events, order_rows
from orders.domain.aggregate import OrderAggregate, Status, load
from orders.domain.events import OrderCancelled, OrderCreated, OrderedItem, OrderEvent, PaymentProcessed

log = structlog.get_logger()
Connection = AsyncConnection[Any]

BATCH = 100
LOOK_AGAIN_SECONDS = 30.0
"""Between two searches for orders that pods of the release before have changed."""
ACTOR = "orders"
"""No caller has asked for these events."""
REASON = "not recorded: cancelled before orders had events"


async def adopt(connection: Connection, order_id: UUID) -> None:
    """Lock the order, and complete its stream if necessary.

    The lock also keeps out pods of the release before, which would change the row without an event.

    Raises
    ------
    Problem
        404 `unknown-order`.
    """
    row = await order_rows.lock(connection, order_id)
    if row is None:
        raise order_events.unknown_order(order_id)
    if row["stream_status"] == row["status"]:
        return
    stored = await order_events.read(connection, order_id)
    order = load(order_events.domain_event(event) for event in stored)
    items = await order_rows.items(connection, order_id) if order is None else []
    missing = [order_events.new_event(event) for event in missing_events(order, row, items)]
    await order_events.ORDERS.append(
        connection,
        order_events.ORDERS.stream(order_id),
        missing,
        expected_version=len(stored),
        provenance=Provenance(actor=ACTOR, correlation_id=row["saga_id"], saga_id=row["saga_id"]),
    )
    await connection.execute("UPDATE orders SET stream_status = status WHERE id = %s", (order_id,))


def missing_events(
    order: OrderAggregate | None, row: dict[str, Any], items: Sequence[dict[str, Any]]
) -> Iterator[OrderEvent]:
    """The events that lead from what the stream says to what the row says.

    The release before could only create a pending order, confirm it, or cancel it.
    """
    order_id: UUID = row["id"]
    total: Decimal = row["total_amount"]
    changed_at: datetime = row["updated_at"]
    if order is None:
        yield OrderCreated(
            order_id=order_id,
            customer_id=row["customer_id"],
            items=tuple(OrderedItem(**item) for item in items),
            total_amount=total,
            created_at=row["created_at"],
        )
    if order is None or order.status is Status.PENDING:
        match row["status"]:
            case "confirmed":
                yield PaymentProcessed(order_id=order_id, payment_id=None, amount=total, processed_at=changed_at)
            case "cancelled":
                yield OrderCancelled(order_id=order_id, reason=REASON, cancelled_at=changed_at)


async def adopt_all(pool: Pool) -> None:
    """Adopt all orders, then look again for more from time to time."""
    while True:
        after: UUID | None = None
        while adopted := await adopt_batch(pool, after=after):
            after = adopted[-1]
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def adopt_batch(pool: Pool, *, after: UUID | None = None) -> list[UUID]:
    """Adopt the next orders in one transaction, and return their ids.

    Other pods skip these rows. An order that cannot be adopted is logged and left.
    """
    async with pool.connection() as connection, connection.transaction():
        async with connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(
                "SELECT id FROM orders WHERE stream_status IS DISTINCT FROM status"
                " AND (%(after)s::uuid IS NULL OR id > %(after)s)"
                " ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED",
                {"after": after, "limit": BATCH},
            )
            order_ids: list[UUID] = await cursor.fetchall()
        for order_id in order_ids:
            await _adopt_or_leave(connection, order_id)
    if order_ids:
        log.info("orders adopted", orders=len(order_ids))
    return order_ids


async def _adopt_or_leave(connection: Connection, order_id: UUID) -> None:
    try:
        async with connection.transaction():
            await adopt(connection, order_id)
    except OperationalError:
        raise
    except (EventStoreError, ValueError) as error:
        log.exception("an order cannot be adopted", order_id=str(order_id), reason=str(error))
