"""Payments, and the append-only ledger of captures and refunds."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from kompensa_participant import Refused
from payments.adapters import customers, methods
from payments.domain.decision import decline_reason

Connection = AsyncConnection[Any]


async def capture(
    connection: Connection, saga_id: UUID, *, customer_id: UUID, amount: Decimal, method_id: str
) -> dict[str, Any]:
    """Take the money, or decline; not possible yet (503) while the customer's copy is on its way."""
    balance = await methods.lock(connection, method_id)
    if balance is None:
        raise Refused("payment-declined", f"payment method {method_id} is not known")
    own = await _methods_of(connection, customer_id)
    reason = decline_reason(method_id=method_id, methods_of_customer=own, balance=balance, amount=amount)
    if reason:
        raise Refused("payment-declined", f"payment method {method_id} {reason}")
    await methods.change_balance(connection, method_id, -amount)
    payment_id = uuid4()
    await connection.execute(
        "INSERT INTO payments (id, saga_id, orders_customer_id, payment_method_id, captured)"
        " VALUES (%s, %s, %s, %s, %s)",
        (payment_id, saga_id, customer_id, method_id, amount),
    )
    await _record(connection, payment_id, saga_id, "capture", amount)
    return {"paymentId": str(payment_id)}


async def _methods_of(connection: Connection, customer_id: UUID) -> set[str]:
    """The payment methods that orders has for a customer."""
    customer = await customers.copies.find(connection, customer_id)
    if customer is None:
        raise customers.copies.missing(customer_id)
    if customer["deleted_at"] is not None:
        raise Refused("customer-deleted", f"customer {customer_id} was deleted and cannot pay")
    return {method["id"] for method in customer["payment_methods"]}


async def refund(connection: Connection, saga_id: UUID, payment_id: UUID) -> dict[str, Any]:
    """Give back all that a payment took."""
    cursor = await connection.execute(
        "UPDATE payments SET refunded = captured, refunded_at = now() WHERE id = %s AND refunded = 0"
        " RETURNING payment_method_id, captured",
        (payment_id,),
    )
    row = await cursor.fetchone()
    if row is None:
        raise Refused("already-refunded", f"payment {payment_id} was refunded outside this saga", status=409)
    method_id, amount = row
    await methods.change_balance(connection, method_id, amount)
    await _record(connection, payment_id, saga_id, "refund", amount)
    return {"paymentId": str(payment_id), "refunded": f"{amount:.2f}"}


async def of_saga(connection: Connection, saga_id: UUID) -> list[dict[str, Any]]:
    """A saga's payment, if it made one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT id, saga_id, orders_customer_id AS customer_id, payment_method_id, captured, refunded, created_at"
            " FROM payments WHERE saga_id = %s",
            (saga_id,),
        )
        return await cursor.fetchall()


async def _record(connection: Connection, payment_id: UUID, saga_id: UUID, kind: str, amount: Decimal) -> None:
    await connection.execute(
        "INSERT INTO entries (payment_id, saga_id, kind, amount) VALUES (%s, %s, %s, %s)",
        (payment_id, saga_id, kind, amount),
    )
