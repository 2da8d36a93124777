"""The copy of orders: whether each may be shipped. It follows orders' events; no route writes it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from shipping.domain.order import STATUS_AFTER, OrderStatus

Connection = AsyncConnection[Any]

_FOLLOW = """
INSERT INTO orders (orders_order_id, status, source_version) VALUES (%(order_id)s, %(status)s, %(version)s)
ON CONFLICT (orders_order_id) DO UPDATE
   SET status = excluded.status, source_version = excluded.source_version, synced_at = now()
 WHERE orders.source_version < excluded.source_version
"""


async def follow(connection: Connection, order_id: UUID, *, event_type: str, version: int) -> None:
    """Apply an event of an order. Events may be repeated or come late: the highest version wins.

    Each status follows from the type of one event alone, so a missing event does no harm once a later one is there.
    """
    if status := STATUS_AFTER.get(event_type):
        await connection.execute(_FOLLOW, {"order_id": order_id, "status": status.value, "version": version})


async def status_of(connection: Connection, order_id: UUID) -> OrderStatus | None:
    """The status of an order, kept as it is until the transaction ends; None if it is unknown."""
    cursor = await connection.execute("SELECT status FROM orders WHERE orders_order_id = %s FOR SHARE", (order_id,))
    row = await cursor.fetchone()
    return OrderStatus(row[0]) if row else None
