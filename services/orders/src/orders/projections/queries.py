"""The three queries of S62, and revenue. They read projections and no other table (S63)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from kompensa_participant.projections import NewestFirst, newest_first

Connection = AsyncConnection[Any]
Row = dict[str, Any]


async def order_by_id(connection: Connection, order_id: UUID) -> Row | None:
    """One order, or None if it is not projected (yet)."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT o.*, n.customer_name FROM order_projections o LEFT JOIN customer_names n USING (customer_id)"
            " WHERE order_id = %s",
            (order_id,),
        )
        return await cursor.fetchone()


async def customer_orders(connection: Connection, customer_id: UUID, *, limit: int, cursor: str | None) -> NewestFirst:
    """The orders of a customer, the newest first."""
    return await _page(connection, column="customer_id", value=customer_id, limit=limit, cursor=cursor)


async def orders_by_status(connection: Connection, status: str, *, limit: int, cursor: str | None) -> NewestFirst:
    """The orders in a status, the newest first."""
    return await _page(connection, column="status", value=status, limit=limit, cursor=cursor)


async def revenue_of(connection: Connection, product_id: UUID, *, limit: int) -> list[Row]:
    """The revenue of a product on the last days that have any, the newest first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM product_revenue WHERE catalog_product_id = %s ORDER BY day DESC LIMIT %s",
            (product_id, limit),
        )
        return await cursor.fetchall()


async def _page(connection: Connection, *, column: str, value: Any, limit: int, cursor: str | None) -> NewestFirst:
    page = await newest_first(
        connection, "order_projections", column=column, value=value, key="order_id", cursor=cursor, limit=limit
    )
    names = await _names(connection, {row["customer_id"] for row in page.rows})
    return page._replace(rows=[{**row, "customer_name": names.get(row["customer_id"])} for row in page.rows])


async def _names(connection: Connection, customers: set[UUID]) -> Mapping[UUID, str | None]:
    rows = await connection.execute(
        "SELECT customer_id, customer_name FROM customer_names WHERE customer_id = ANY (%s)", (list(customers),)
    )
    return dict(await rows.fetchall())
