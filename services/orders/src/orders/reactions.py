"""Orders' part of an order that is placed by events: create it, confirm it, or cancel it; and keep its deadline.

No service coordinates. Each reacts to the step before it, and publishes its own result:

    order-requested -> stock-reserved -> payment-captured -> order-created -> invoice-issued -> order-confirmed

A refusal turns the order back. Each service undoes its step and publishes that, in reverse order:

    invoice-refused -> order-cancelled -> payment-refunded -> stock-released -> the placement has failed

If a service is lost, the deadline starts the same way back, from its far end. A step that was not done yet is undone by
a tombstone, so that a late event has no effect.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from kompensa_participant import Message, Money, Reactions, ReceivedEvent
from kompensa_participant.context import handling
from kompensa_participant.reactions import act, undo
from orders import shipment_reactions
from orders.adapters import orders, placements
from orders.api.orders import Item

STEP = "create-order"
LATE = 100
EXPIRY = "orders"
"""The caller of what a deadline causes."""
Connection = AsyncConnection[Any]

reactions = Reactions()
reactions.include(shipment_reactions.reactions)


class Order(Message):
    customer_id: UUID
    items: list[Item]
    total_amount: Money


class Captured(Message):
    order: Order
    payment_id: UUID


class Issued(Message):
    order_id: UUID


@reactions.on("payments.payment-captured", attempts=20, longest_pause=5)
async def create(tx: Connection, event: ReceivedEvent) -> None:
    """Create the order, still pending, or say no. It is tried for longer: a product's copy may still be on its way."""
    captured = event.read(Captured)
    order, saga = captured.order, UUID(event.key)
    lines = [item.line() for item in order.items]
    done = await act(
        tx,
        event,
        STEP,
        lambda tx: orders.create(tx, saga, customer_id=order.customer_id, lines=lines, total=order.total_amount),
    )
    if done.state == "Succeeded":
        await placements.keep_payment(tx, saga, captured.payment_id)
        await placements.announce(tx, saga, "order-created", {"order": event.payload["order"], **done.reply})
    elif done.state == "Failed":
        reason = done.reply["detail"]
        await placements.turn_back(tx, saga, reason)
        await placements.announce(tx, saga, "order-refused", {"reason": reason})


@reactions.on("invoices.invoice-issued")
async def confirm(tx: Connection, event: ReceivedEvent) -> None:
    """Confirm the order: from here on it stands. If its deadline has passed, it is on its way back."""
    saga, order_id = UUID(event.key), event.read(Issued).order_id
    placement = await placements.lock_running(tx, saga)
    if placement is not None:
        await orders.confirm(tx, saga, order_id, payment_id=placement["payment_id"])
        await placements.end(tx, saga, "placed")
        await placements.announce(tx, saga, "order-confirmed", {"orderId": str(order_id)})


@reactions.on("invoices.invoice-refused")
@reactions.on("invoices.invoice-cancelled")
async def cancel(tx: Connection, event: ReceivedEvent) -> None:
    """Undo the order: its invoice was refused, or the deadline has passed."""
    saga, reason = UUID(event.key), event.payload.get("reason")
    await placements.turn_back(tx, saga, reason)
    done = await undo(tx, event, STEP, lambda tx, created: orders.cancel(tx, UUID(created["orderId"])))
    if not done.replayed:
        await placements.announce(tx, saga, "order-cancelled", {"reason": reason})


@reactions.on("inventory.stock-refused")
@reactions.on("inventory.stock-released")
async def fail(tx: Connection, event: ReceivedEvent) -> None:
    """Nothing is left to undo."""
    await placements.end(tx, UUID(event.key), "failed", reason=event.payload.get("reason"))


@reactions.every(1.0)
async def expire(tx: Connection) -> None:
    """Turn back the orders whose deadline has passed."""
    for saga in await placements.expired(tx, limit=LATE):
        reason = "the order was not placed before its deadline"
        with handling(saga, None, caller=EXPIRY):
            await placements.turn_back(tx, saga, reason)
            await placements.announce(tx, saga, "order-expired", {"reason": reason})
