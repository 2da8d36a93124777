"""Payment methods: a token and a balance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from payments.domain.decision import Method

Connection = AsyncConnection[Any]


async def put(connection: Connection, method_id: str, customer_id: UUID | None, balance: Decimal) -> None:
    """Make a payment method, or replace what is known of it."""
    await connection.execute(
        "INSERT INTO payment_methods (id, orders_customer_id, balance) VALUES (%s, %s, %s)"
        " ON CONFLICT (id) DO UPDATE SET balance = excluded.balance, orders_customer_id = excluded.orders_customer_id",
        (method_id, customer_id, balance),
    )


async def find(connection: Connection, method_id: str) -> dict[str, Any] | None:
    """One payment method."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT id, orders_customer_id AS customer_id, balance FROM payment_methods WHERE id = %s", (method_id,)
        )
        return await cursor.fetchone()


async def lock(connection: Connection, method_id: str) -> Method | None:
    """Return a payment method and lock its row until the transaction ends."""
    cursor = await connection.execute(
        "SELECT orders_customer_id, balance FROM payment_methods WHERE id = %s FOR UPDATE", (method_id,)
    )
    row = await cursor.fetchone()
    return Method(customer_id=row[0], balance=row[1]) if row else None


async def change_balance(connection: Connection, method_id: str, difference: Decimal) -> None:
    """Take from a balance, or give to it."""
    await connection.execute("UPDATE payment_methods SET balance = balance + %s WHERE id = %s", (difference, method_id))
