"""Prices of products."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from orders.domain.order import Price

Connection = AsyncConnection[Any]


async def put(connection: Connection, product_id: UUID, name: str, unit_price: Decimal) -> None:
    """Set a price; orders that stand keep the one they were made with."""
    await connection.execute(
        "INSERT INTO prices (catalog_product_id, product_name, unit_price) VALUES (%s, %s, %s)"
        " ON CONFLICT (catalog_product_id) DO UPDATE"
        " SET product_name = excluded.product_name, unit_price = excluded.unit_price, updated_at = now()",
        (product_id, name, unit_price),
    )


async def page(connection: Connection, *, limit: int, after: UUID | None) -> list[dict[str, Any]]:
    """Prices in order of the products' ids, from after the given one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT catalog_product_id AS product_id, product_name AS name, unit_price FROM prices"
            " WHERE %(after)s::uuid IS NULL OR catalog_product_id > %(after)s"
            " ORDER BY catalog_product_id LIMIT %(limit)s",
            {"after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def of(connection: Connection, product_ids: Iterable[UUID]) -> dict[UUID, Price]:
    """The prices of these products; those without one are left out."""
    cursor = await connection.execute(
        "SELECT catalog_product_id, product_name, unit_price FROM prices WHERE catalog_product_id = ANY(%s)",
        (list(product_ids),),
    )
    rows = await cursor.fetchall()
    return {product_id: Price(name=name, unit_price=unit_price) for product_id, name, unit_price in rows}
