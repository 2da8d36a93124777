"""The copy of catalog's products. Only the replica worker writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from kompensa_participant import Copies
from orders.domain.order import Product

Connection = AsyncConnection[Any]

copies = Copies("products", key="catalog_product_id", noun="product", authority="catalog")


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
            raise copies.missing(product_id)
    return found


def _product(row: dict[str, Any]) -> Product:
    return Product(
        name=row["name"],
        price=row["price"],
        currency=row["currency"],
        status="deleted" if row["deleted_at"] else row["status"],
    )
