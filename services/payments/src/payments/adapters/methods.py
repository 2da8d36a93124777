"""The money behind payment methods. Whose they are, orders decides: see customers.py."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

Connection = AsyncConnection[Any]


async def put(connection: Connection, method_id: str, balance: Decimal) -> None:
    """Set the balance behind a payment method."""
    await connection.execute(
        "INSERT INTO payment_methods (id, balance) VALUES (%s, %s)"
        " ON CONFLICT (id) DO UPDATE SET balance = excluded.balance",
        (method_id, balance),
    )


async def find(connection: Connection, method_id: str) -> dict[str, Any] | None:
    """One payment method."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT id, balance FROM payment_methods WHERE id = %s", (method_id,))
        return await cursor.fetchone()


async def lock(connection: Connection, method_id: str) -> Decimal | None:
    """Return a balance and lock its row until the transaction ends; None for an unknown method."""
    cursor = await connection.execute("SELECT balance FROM payment_methods WHERE id = %s FOR UPDATE", (method_id,))
    row = await cursor.fetchone()
    return row[0] if row else None


async def change_balance(connection: Connection, method_id: str, difference: Decimal) -> None:
    """Take from a balance, or give to it."""
    await connection.execute("UPDATE payment_methods SET balance = balance + %s WHERE id = %s", (difference, method_id))
