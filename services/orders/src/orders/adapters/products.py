"""The copy of catalog's products. Only the replica worker writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from kompensa_participant import Problem
from orders.domain.order import Product

Connection = AsyncConnection[Any]


async def of(connection: Connection, product_ids: Iterable[UUID]) -> dict[UUID, Product]:
    """Return these products, those that were withdrawn or deleted included.

    Raises
    ------
    Problem
        503 while the copy of one of them is on its way.
    """
    wanted = list(product_ids)
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM products WHERE catalog_product_id = ANY(%s)", (wanted,))
        found = {row["catalog_product_id"]: _product(row) for row in await cursor.fetchall()}
    for product_id in wanted:
        if product_id not in found:
            detail = f"product {product_id} is not known here: catalog has none, or the copy is on its way; ask again"
            raise Problem(503, "product-not-copied", detail, headers={"Retry-After": "1"})
    return found


def _product(row: dict[str, Any]) -> Product:
    return Product(
        name=row["name"],
        price=row["price"],
        currency=row["currency"],
        status="deleted" if row["deleted_at"] else row["status"],
    )


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
