"""Reservations: which pieces are kept for which saga."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from inventory.adapters import stock
from inventory.domain.reservation import wanted
from kompensa_participant import Refused

Connection = AsyncConnection[Any]


async def reserve(connection: Connection, saga_id: UUID, items: Iterable[tuple[UUID, int]]) -> dict[str, Any]:
    """Keep pieces for a saga: all of them, or a refusal that names the first product that falls short."""
    reservation_id = uuid4()
    await connection.execute(
        "INSERT INTO reservations (id, saga_id, status) VALUES (%s, %s, 'reserved')", (reservation_id, saga_id)
    )
    for product_id, quantity in wanted(items):
        _require(product_id, quantity, await stock.lock(connection, product_id))
        await stock.move(connection, product_id, "reserve", on_hand=-quantity, reserved=quantity, saga_id=saga_id)
        await connection.execute(
            "INSERT INTO reservation_items (reservation_id, catalog_product_id, quantity) VALUES (%s, %s, %s)",
            (reservation_id, product_id, quantity),
        )
    return {"reservationId": str(reservation_id)}


def _require(product_id: UUID, quantity: int, on_hand: int | None) -> None:
    if on_hand is None:
        raise Refused("unknown-product", f"product {product_id} is not kept here")
    if on_hand < quantity:
        raise Refused("insufficient-stock", f"product {product_id}: {quantity} wanted, {on_hand} on hand", status=409)


async def release(connection: Connection, saga_id: UUID, reservation_id: UUID) -> dict[str, Any]:
    """Give back what a reservation kept. A sale stands: its saga is past the point of return."""
    cursor = await connection.execute(
        "UPDATE reservations SET status = 'released', released_at = now() WHERE id = %s AND status = 'reserved'",
        (reservation_id,),
    )
    if cursor.rowcount == 0:
        raise Refused("reservation-sold", f"reservation {reservation_id} is sold and stands", status=409)
    for product_id, quantity in await _items(connection, reservation_id):
        await stock.move(connection, product_id, "release", on_hand=quantity, reserved=-quantity, saga_id=saga_id)
    return {"reservationId": str(reservation_id), "status": "released"}


async def sell(connection: Connection, saga_id: UUID) -> dict[str, Any]:
    """Turn a saga's reservation into a sale."""
    cursor = await connection.execute(
        "UPDATE reservations SET status = 'sold', sold_at = now() WHERE saga_id = %s AND status = 'reserved'"
        " RETURNING id",
        (saga_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise Refused("nothing-reserved", f"saga {saga_id} has no reservation that could be sold", status=409)
    reservation_id: UUID = row[0]
    for product_id, quantity in await _items(connection, reservation_id):
        await stock.move(connection, product_id, "sell", reserved=-quantity, sold=quantity, saga_id=saga_id)
    return {"reservationId": str(reservation_id), "status": "sold"}


async def _items(connection: Connection, reservation_id: UUID) -> list[tuple[UUID, int]]:
    """Products and pieces, in the order in which every transaction locks the rows of stock."""
    cursor = await connection.execute(
        "SELECT catalog_product_id, quantity FROM reservation_items WHERE reservation_id = %s"
        " ORDER BY catalog_product_id",
        (reservation_id,),
    )
    return await cursor.fetchall()


async def of_saga(connection: Connection, saga_id: UUID) -> list[dict[str, Any]]:
    """A saga's reservation, if it made one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT id, saga_id, status, created_at, released_at, sold_at FROM reservations WHERE saga_id = %s",
            (saga_id,),
        )
        return await cursor.fetchall()
