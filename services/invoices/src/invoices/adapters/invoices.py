"""Invoices and their lines, made out to the local copy of the customer and to its fields as at issue."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from invoices.adapters import customers
from invoices.domain.document import billable
from invoices.domain.invoice import Line, check, invoice_number
from invoices.domain.recipient import Recipient
from kompensa_participant import Refused

Connection = AsyncConnection[Any]

_INSERT = """
INSERT INTO invoices (id, invoice_number, saga_id, customer_id, orders_customer_id, orders_order_id, total_amount,
                      status, recipient_name, recipient_document, recipient_address)
VALUES (%(id)s, %(number)s, %(saga)s, %(local_customer)s, %(customer)s, %(order)s, %(total)s, 'issued',
        %(name)s, %(document)s, %(address)s)
"""


async def issue(
    connection: Connection,
    saga_id: UUID,
    *,
    order_id: UUID,
    customer_id: UUID,
    total: Decimal,
    lines: Sequence[Line],
) -> dict[str, Any]:
    """Issue an invoice; not possible yet (503) while the customer's copy is on its way."""
    check(lines, total)
    local_customer, recipient = await _billable_customer(connection, customer_id)
    invoice_id, number = uuid4(), await _next_number(connection)
    try:
        await connection.execute(
            _INSERT,
            {
                "id": invoice_id,
                "number": number,
                "saga": saga_id,
                "local_customer": local_customer,
                "customer": customer_id,
                "order": order_id,
                "total": total,
                "name": recipient.full_name,
                "document": recipient.document,
                "address": Jsonb(recipient.billing_address),
            },
        )
    except UniqueViolation as error:
        raise Refused("already-invoiced", f"order {order_id} has an invoice that stands", status=409) from error
    await _insert_items(connection, invoice_id, lines)
    return {"invoiceId": str(invoice_id), "invoiceNumber": number}


async def _billable_customer(connection: Connection, customer_id: UUID) -> tuple[UUID, Recipient]:
    """The local id of the customer's copy, and the customer as the invoice shows it."""
    customer = await customers.copies.find(connection, customer_id)
    if customer is None:
        raise customers.copies.missing(customer_id)
    if customer["deleted_at"] is not None:
        raise Refused("customer-deleted", f"customer {customer_id} was deleted; an invoice needs a customer")
    if not billable(customer["document"]):
        detail = f"customer {customer_id} has neither a CPF nor a CNPJ; an invoice needs one"
        raise Refused("document-not-billable", detail)
    recipient = Recipient(
        full_name=customer["full_name"],
        document=customer["document"],
        billing_address=customer["billing_address"],
    )
    return customer["id"], recipient


async def _insert_items(connection: Connection, invoice_id: UUID, lines: Sequence[Line]) -> None:
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO invoice_items (id, invoice_id, position, catalog_product_id, product_name, quantity,"
            " unit_price, total_price) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (uuid4(), invoice_id, position, line.product_id, line.name, line.quantity, line.unit_price, line.total)
                for position, line in enumerate(lines, start=1)
            ],
        )


async def _next_number(connection: Connection) -> str:
    cursor = await connection.execute("SELECT extract(year FROM now())::int, nextval('invoice_numbers')")
    row = await cursor.fetchone()
    assert row is not None
    return invoice_number(row[0], row[1])


async def cancel(connection: Connection, invoice_id: UUID) -> dict[str, Any]:
    """Cancel an invoice. It keeps its row and its number, as invoices must."""
    await connection.execute(
        "UPDATE invoices SET status = 'cancelled', cancelled_at = now() WHERE id = %s", (invoice_id,)
    )
    return {"invoiceId": str(invoice_id), "status": "cancelled"}


async def find(connection: Connection, invoice_id: UUID) -> dict[str, Any] | None:
    """One invoice with its items."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT *, orders_order_id AS order_id FROM invoices WHERE id = %s", (invoice_id,))
        invoice = await cursor.fetchone()
        if invoice is None:
            return None
        await cursor.execute(
            "SELECT id, catalog_product_id AS product_id, product_name, quantity, unit_price, total_price"
            " FROM invoice_items WHERE invoice_id = %s ORDER BY position",
            (invoice_id,),
        )
        return {**invoice, "recipient": _recipient(invoice), "items": await cursor.fetchall()}


def _recipient(invoice: dict[str, Any]) -> Recipient | None:
    if invoice["recipient_name"] is None:
        return None
    return Recipient(
        full_name=invoice["recipient_name"],
        document=invoice["recipient_document"],
        billing_address=invoice["recipient_address"],
    )


async def page(
    connection: Connection, *, limit: int, after: UUID | None, orders_customer_id: UUID | None, saga_id: UUID | None
) -> list[dict[str, Any]]:
    """Invoices in order of their ids, from after the given one."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT *, orders_order_id AS order_id FROM invoices WHERE (%(after)s::uuid IS NULL OR id > %(after)s)"
            " AND (%(customer)s::uuid IS NULL OR orders_customer_id = %(customer)s)"
            " AND (%(saga)s::uuid IS NULL OR saga_id = %(saga)s) ORDER BY id LIMIT %(limit)s",
            {"after": after, "customer": orders_customer_id, "saga": saga_id, "limit": limit},
        )
        return await cursor.fetchall()
