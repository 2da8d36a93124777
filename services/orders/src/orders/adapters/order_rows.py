"""The tables `orders` and `order_items`: a projection of the events, written in the transaction of the append.

`stream_status` is the status as of the order's last event. Pods of the release before change `status` alone, because
they know no events. So a row whose two statuses differ has a stream that is missing or incomplete (see `adoption`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from kompensa_eventstore import StoredEvent
from orders.adapters.order_events import domain_event
from orders.domain.aggregate import Status, row_status, status_after
from orders.domain.events import OrderCreated

Connection = AsyncConnection[Any]


async def insert(connection: Connection, created: OrderCreated, saga_id: UUID) -> None:
    """The row and the items of a new order."""
    await connection.execute(
        "INSERT INTO orders (id, saga_id, customer_id, total_amount, status, stream_status, created_at, updated_at)"
        " VALUES (%(id)s, %(saga)s, %(customer)s, %(total)s, %(status)s, %(status)s, %(at)s, %(at)s)",
        {
            "id": created.order_id,
            "saga": saga_id,
            "customer": created.customer_id,
            "total": created.total_amount,
            "status": row_status(Status.PENDING),
            "at": created.created_at,
        },
    )
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO order_items (order_id, position, catalog_product_id, product_name, quantity, unit_price)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (created.order_id, position, item.product_id, item.name, item.quantity, item.price)
                for position, item in enumerate(created.items, start=1)
            ],
        )


async def follow(connection: Connection, events: Sequence[StoredEvent]) -> None:
    """Bring the row to the status after these events, which are the newest of the order."""
    last = events[-1]
    status = row_status(status_after(domain_event(last)))
    await connection.execute(
        "UPDATE orders SET status = %(status)s, stream_status = %(status)s, updated_at = %(at)s WHERE id = %(id)s",
        {"status": status, "at": last.occurred_at, "id": last.stream.aggregate_id},
    )


async def lock(connection: Connection, order_id: UUID) -> dict[str, Any] | None:
    """One row, which nothing else changes until the transaction ends."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM orders WHERE id = %s FOR NO KEY UPDATE", (order_id,))
        return await cursor.fetchone()


async def items(connection: Connection, order_id: UUID) -> list[dict[str, Any]]:
    """The items of an order, in their order."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT catalog_product_id AS product_id, product_name AS name, quantity, unit_price AS price"
            " FROM order_items WHERE order_id = %s ORDER BY position",
            (order_id,),
        )
        return await cursor.fetchall()


async def find(connection: Connection, order_id: UUID) -> dict[str, Any] | None:
    """One order with its items."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM orders WHERE id = %s", (order_id,))
        order = await cursor.fetchone()
    return None if order is None else {**order, "items": await items(connection, order_id)}


async def page(
    connection: Connection, *, limit: int, after: UUID | None, customer_id: UUID | None, saga_id: UUID | None
) -> list[dict[str, Any]]:
    """Orders in order of their ids, from after the given one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM orders WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
            " AND (%(customer)s::uuid IS NULL OR customer_id = %(customer)s)"
            " AND (%(saga)s::uuid IS NULL OR saga_id = %(saga)s) ORDER BY id LIMIT %(limit)s",
            {"after": after, "customer": customer_id, "saga": saga_id, "limit": limit},
        )
        return await cursor.fetchall()
