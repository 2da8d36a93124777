"""Payments' part of an order that is placed by events: take the money, or give it back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from kompensa_participant import Message, Money, OutboxEvent, Reactions, ReceivedEvent, publish
from kompensa_participant.reactions import act, undo
from payments.adapters import payments

STEP = "process-payment"
Connection = AsyncConnection[Any]

reactions = Reactions()


class Order(Message):
    customer_id: UUID
    total_amount: Money
    payment_method_id: str


class Reserved(Message):
    order: Order


@reactions.on("inventory.stock-reserved", attempts=20, longest_pause=5)
async def capture(tx: Connection, event: ReceivedEvent) -> None:
    """Take the money, or say no: `payment-captured` carries the order on, `payment-declined` turns it back.

    It is tried for longer: the copy of the customer's payment methods may still be on its way.
    """
    order = event.read(Reserved).order
    saga = UUID(event.key)
    done = await act(
        tx,
        event,
        STEP,
        lambda tx: payments.capture(
            tx, saga, customer_id=order.customer_id, amount=order.total_amount, method_id=order.payment_method_id
        ),
    )
    if done.state == "Succeeded":
        await _publish(tx, event, "payment-captured", 1, {"order": event.payload["order"], **done.reply})
    elif done.state == "Failed":
        await _publish(tx, event, "payment-declined", 1, {"reason": done.reply["detail"]})


@reactions.on("orders.order-refused")
@reactions.on("orders.order-cancelled")
async def refund(tx: Connection, event: ReceivedEvent) -> None:
    """Undo the payment: the step after it was refused or undone."""
    saga = UUID(event.key)
    done = await undo(tx, event, STEP, lambda tx, paid: payments.refund(tx, saga, UUID(paid["paymentId"])))
    if not done.replayed:
        await _publish(tx, event, "payment-refunded", 2, {"reason": event.payload.get("reason")})


async def _publish(tx: Connection, event: ReceivedEvent, kind: str, version: int, payload: dict[str, Any]) -> None:
    await publish(
        tx,
        OutboxEvent(
            aggregate_type="payment",
            aggregate_id=UUID(event.key),
            aggregate_version=version,
            event_type=kind,
            payload=payload,
        ),
    )
