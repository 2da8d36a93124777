"""Invoices' part of an order that is placed by events: issue the invoice, or cancel it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from invoices.adapters import invoices
from invoices.api.invoices import Item
from kompensa_participant import Message, Money, OutboxEvent, Reactions, ReceivedEvent, publish
from kompensa_participant.reactions import act, undo

STEP = "issue-invoice"
Connection = AsyncConnection[Any]

reactions = Reactions()


class Order(Message):
    customer_id: UUID
    total_amount: Money


class Created(Message):
    order_id: UUID
    order: Order
    items: list[Item]


@reactions.on("orders.order-created", attempts=20, longest_pause=5)
async def issue(tx: Connection, event: ReceivedEvent) -> None:
    """Issue the invoice, or say no. It is tried for longer: the customer's copy may still be on its way."""
    created = event.read(Created)
    saga, lines = UUID(event.key), [item.line() for item in created.items]
    done = await act(
        tx,
        event,
        STEP,
        lambda tx: invoices.issue(
            tx,
            saga,
            order_id=created.order_id,
            customer_id=created.order.customer_id,
            total=created.order.total_amount,
            lines=lines,
        ),
    )
    if done.state == "Succeeded":
        await _publish(tx, event, "invoice-issued", 1, {"orderId": str(created.order_id), **done.reply})
    elif done.state == "Failed":
        await _publish(tx, event, "invoice-refused", 1, {"reason": done.reply["detail"]})


@reactions.on("orders.order-expired")
async def cancel(tx: Connection, event: ReceivedEvent) -> None:
    """Undo the invoice, or see that it is never issued: the order's deadline has passed."""
    done = await undo(tx, event, STEP, lambda tx, issued: invoices.cancel(tx, UUID(issued["invoiceId"])))
    if not done.replayed:
        await _publish(tx, event, "invoice-cancelled", 2, {"reason": event.payload.get("reason")})


async def _publish(tx: Connection, event: ReceivedEvent, kind: str, version: int, payload: dict[str, Any]) -> None:
    await publish(
        tx,
        OutboxEvent(
            aggregate_type="invoice",
            aggregate_id=UUID(event.key),
            aggregate_version=version,
            event_type=kind,
            payload=payload,
        ),
    )
