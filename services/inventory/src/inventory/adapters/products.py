"""The copy of catalog's products. Only the replica worker writes it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Connection = AsyncConnection[Any]


async def page(connection: Connection, *, limit: int, after: UUID | None) -> list[dict[str, Any]]:
    """Copies in the order of the products' ids, from after the given one; without those that were deleted."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM products WHERE deleted_at IS NULL"
            " AND (%(after)s::uuid IS NULL OR catalog_product_id > %(after)s)"
            " ORDER BY catalog_product_id LIMIT %(limit)s",
            {"after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def find(connection: Connection, product_id: UUID) -> dict[str, Any] | None:
    """One copy; None if there is none or the product was deleted."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM products WHERE catalog_product_id = %s AND deleted_at IS NULL", (product_id,)
        )
        return await cursor.fetchone()
