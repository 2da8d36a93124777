"""Stock rows, and the append-only ledger of how they came to be what they are."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Connection = AsyncConnection[Any]

_STOCK = """
SELECT catalog_product_id AS product_id, name, on_hand, reserved, sold
  FROM stock LEFT JOIN products USING (catalog_product_id)
"""


async def set_on_hand(connection: Connection, product_id: UUID, on_hand: int) -> None:
    """Count a product: from now on this many pieces are free. Written to the ledger as the difference."""
    # The row has to be there before it can be locked: of two first counts at once, the second must see the first.
    await connection.execute("INSERT INTO stock (catalog_product_id) VALUES (%s) ON CONFLICT DO NOTHING", (product_id,))
    before = await lock(connection, product_id)
    assert before is not None
    await move(connection, product_id, "count", on_hand=on_hand - before)


async def lock(connection: Connection, product_id: UUID) -> int | None:
    """Return the pieces on hand and lock the row until the transaction ends; None for an unknown product."""
    cursor = await connection.execute(
        "SELECT on_hand FROM stock WHERE catalog_product_id = %s FOR UPDATE", (product_id,)
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def move(
    connection: Connection,
    product_id: UUID,
    kind: str,
    *,
    on_hand: int = 0,
    reserved: int = 0,
    sold: int = 0,
    saga_id: UUID | None = None,
) -> None:
    """Change a product's pieces by these differences, and say so in the ledger."""
    await connection.execute(
        "UPDATE stock SET on_hand = on_hand + %s, reserved = reserved + %s, sold = sold + %s"
        " WHERE catalog_product_id = %s",
        (on_hand, reserved, sold, product_id),
    )
    await connection.execute(
        "INSERT INTO stock_movements (catalog_product_id, kind, on_hand_change, reserved_change, sold_change, saga_id)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (product_id, kind, on_hand, reserved, sold, saga_id),
    )


async def page(connection: Connection, *, limit: int, after: UUID | None) -> list[dict[str, Any]]:
    """Products in order of their ids, from after the given one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            _STOCK + " WHERE %(after)s::uuid IS NULL OR catalog_product_id > %(after)s"
            " ORDER BY catalog_product_id LIMIT %(limit)s",
            {"after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def find(connection: Connection, product_id: UUID) -> dict[str, Any] | None:
    """One product's pieces."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_STOCK + " WHERE catalog_product_id = %s", (product_id,))
        return await cursor.fetchone()
