"""Orders and their lines. A cancelled order keeps its row: what happened is not unhappened by deleting it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from kompensa_participant import Refused
from orders.adapters import customers, products
from orders.domain.order import Line, Product, check

Connection = AsyncConnection[Any]


async def create(
    connection: Connection, saga_id: UUID, *, customer_id: UUID, lines: Sequence[Line], total: Decimal
) -> dict[str, Any]:
    """A pending order; it is confirmed by the saga's last step. The reply has the items with their names."""
    if not await customers.keep(connection, customer_id):
        raise Refused("unknown-customer", f"customer {customer_id} does not exist")
    ordered = await products.of(connection, [line.product_id for line in lines])
    check(lines, total, ordered)
    order_id = uuid4()
    await connection.execute(
        "INSERT INTO orders (id, saga_id, customer_id, total_amount, status) VALUES (%s, %s, %s, %s, 'pending')",
        (order_id, saga_id, customer_id, total),
    )
    await _insert_items(connection, order_id, lines, ordered)
    return {
        "orderId": str(order_id),
        "customerId": str(customer_id),
        "items": [_item(line, ordered[line.product_id].name) for line in lines],
    }


async def _insert_items(
    connection: Connection, order_id: UUID, lines: Sequence[Line], ordered: Mapping[UUID, Product]
) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO order_items (order_id, position, catalog_product_id, product_name, quantity, unit_price)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [
                (order_id, position, line.product_id, ordered[line.product_id].name, line.quantity, line.price)
                for position, line in enumerate(lines, start=1)
            ],
        )


def _item(line: Line, name: str) -> dict[str, Any]:
    return {
        "productId": str(line.product_id),
        "name": name,
        "quantity": line.quantity,
        "price": f"{line.price:.2f}",
    }


async def cancel(connection: Connection, order_id: UUID) -> dict[str, Any]:
    """Cancel a pending order. A confirmed one stands: its saga is past the point of return."""
    cursor = await connection.execute(
        "UPDATE orders SET status = 'cancelled', updated_at = now() WHERE id = %s AND status = 'pending'", (order_id,)
    )
    if cursor.rowcount == 0:
        raise Refused("order-not-pending", f"order {order_id} is confirmed and stands", status=409)
    return {"orderId": str(order_id), "status": "cancelled"}


async def confirm(connection: Connection, saga_id: UUID, order_id: UUID) -> dict[str, Any]:
    """Turn a saga's pending order into a confirmed one."""
    cursor = await connection.execute(
        "UPDATE orders SET status = 'confirmed', updated_at = now()"
        " WHERE id = %s AND saga_id = %s AND status = 'pending'",
        (order_id, saga_id),
    )
    if cursor.rowcount == 0:
        raise Refused("order-not-pending", f"saga {saga_id} has no pending order {order_id}", status=409)
    return {"orderId": str(order_id), "status": "confirmed"}


async def find(connection: Connection, order_id: UUID) -> dict[str, Any] | None:
    """One order with its items."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM orders WHERE id = %s", (order_id,))
        order = await cursor.fetchone()
        if order is None:
            return None
        await cursor.execute(
            "SELECT catalog_product_id AS product_id, product_name AS name, quantity, unit_price AS price"
            " FROM order_items WHERE order_id = %s ORDER BY position",
            (order_id,),
        )
        return {**order, "items": await cursor.fetchall()}


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
