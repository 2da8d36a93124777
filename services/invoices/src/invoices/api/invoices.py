"""The saga's step issue-invoice and its compensation, and reading invoices."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from invoices.adapters import invoices
from invoices.domain.invoice import Line
from invoices.domain.recipient import Recipient, retained_until
from kompensa_participant import Action, After, Compensation, Database, Limit, Message, Money, Problem, SagaReference

router = APIRouter(prefix="/invoices", tags=["invoices"])


class Item(Message):
    """One line to invoice; `name` and `price` are the product's at the time of the order."""

    product_id: UUID
    quantity: Annotated[int, Field(strict=True, examples=[2])]
    price: Annotated[Money, Field(gt=0)]
    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Keyboard"])]

    def line(self) -> Line:
        return Line(product_id=self.product_id, name=self.name, quantity=self.quantity, unit_price=self.price)


class IssueInvoice(Message):
    saga_id: UUID
    order_id: UUID
    customer_id: UUID
    total_amount: Annotated[Money, Field(gt=0)]
    items: Annotated[list[Item], Field(min_length=1, max_length=200)]


class InvoiceIssued(Message):
    invoice_id: UUID
    invoice_number: Annotated[str, Field(examples=["INV-2026-00000042"])]


class InvoiceItem(Message):
    """One line. Name and price are the product's as at the order, even if it has changed or was deleted (S31, S32)."""

    id: UUID
    product_id: UUID
    product_name: str
    quantity: int
    unit_price: Money
    total_price: Money


class InvoiceHead(Message):
    """`customerId` is the local copy's; `ordersCustomerId` and `orderId` are orders' own ids."""

    id: UUID
    invoice_number: str
    saga_id: UUID
    customer_id: UUID
    orders_customer_id: UUID
    order_id: UUID
    total_amount: Money
    status: Annotated[str, Field(examples=["issued", "cancelled"])]
    issued_at: datetime


class InvoiceRecipient(Message):
    """The customer as at issue. It stays when the customer is deleted; from `retainedUntil` on it may be erased."""

    full_name: str
    document: str
    billing_address: dict[str, Any]
    retained_until: date


class Invoice(InvoiceHead):
    """`recipient` is null if the customer was deleted before invoices kept it."""

    recipient: InvoiceRecipient | None
    items: list[InvoiceItem]

    @classmethod
    def of(cls, row: dict[str, Any]) -> Invoice:
        recipient: Recipient | None = row["recipient"]
        shown = None
        if recipient is not None:
            shown = InvoiceRecipient(**asdict(recipient), retained_until=retained_until(row["issued_at"]))
        return cls(**{**row, "recipient": shown})


@router.post("", status_code=201, responses={201: {"model": InvoiceIssued}}, tags=["saga"])
async def issue(body: IssueInvoice, action: Action) -> Response:
    """Issue an invoice, or refuse: 422 document-not-billable, customer-deleted, total-mismatch; 503 customer-not-copied
    while the customer's copy is on its way."""
    lines = [item.line() for item in body.items]
    return await action.once(
        lambda tx: invoices.issue(
            tx,
            action.saga_id,
            order_id=body.order_id,
            customer_id=body.customer_id,
            total=body.total_amount,
            lines=lines,
        ),
        status=201,
        effect="Invoice {invoiceId} issued",
    )


@router.post("/cancel", tags=["saga"])
async def cancel(_: SagaReference, compensation: Compensation) -> Response:
    """Cancel the saga's invoice."""
    return await compensation.once(
        lambda tx, issued: invoices.cancel(tx, UUID(issued["invoiceId"])), effect="Invoice {invoiceId} cancelled"
    )


@router.get("")
async def listing(
    database: Database,
    limit: Limit = 100,
    after: After = None,
    orders_customer_id: Annotated[UUID | None, Query(alias="ordersCustomerId")] = None,
    saga_id: Annotated[UUID | None, Query(alias="sagaId")] = None,
) -> list[InvoiceHead]:
    """Return up to `limit` invoices without their lines, from the one after `after`; of one customer or saga."""
    rows = await invoices.page(
        database, limit=limit, after=after, orders_customer_id=orders_customer_id, saga_id=saga_id
    )
    return [InvoiceHead(**row) for row in rows]


@router.get("/{invoice_id}")
async def get(invoice_id: UUID, database: Database) -> Invoice:
    """Return one invoice with its lines; 404 unknown-invoice."""
    row = await invoices.find(database, invoice_id)
    if row is None:
        raise Problem(404, "unknown-invoice", f"invoice {invoice_id} does not exist")
    return Invoice.of(row)
