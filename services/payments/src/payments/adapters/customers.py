"""The copy of the payment methods of orders' customers. Only the replica worker writes it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Connection = AsyncConnection[Any]


async def page(connection: Connection, *, limit: int, after: UUID | None) -> list[dict[str, Any]]:
    """Copies in the order of the customers' ids, from after the given one; without those that were deleted."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM customers WHERE deleted_at IS NULL"
            " AND (%(after)s::uuid IS NULL OR orders_customer_id > %(after)s)"
            " ORDER BY orders_customer_id LIMIT %(limit)s",
            {"after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def find(connection: Connection, orders_customer_id: UUID) -> dict[str, Any] | None:
    """One copy, or None while there is none. A deleted one has `deleted_at`."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM customers WHERE orders_customer_id = %s", (orders_customer_id,))
        return await cursor.fetchone()
