"""Inventory's part of an order that is placed by events: reserve the stock, then sell it or give it back.

It uses the same functions, and the same barrier, as the routes that a saga's engine calls.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from inventory.adapters import reservations
from inventory.api.reservations import Item
from kompensa_participant import Message, OutboxEvent, Reactions, ReceivedEvent, publish
from kompensa_participant.reactions import act, undo

STEP = "reserve-inventory"
Connection = AsyncConnection[Any]

reactions = Reactions()


class Order(Message):
    items: list[Item]


class Requested(Message):
    order: Order


@reactions.on("orders.order-requested")
async def reserve(tx: Connection, event: ReceivedEvent) -> None:
    """Reserve, or say no: `stock-reserved` carries the order on, `stock-refused` ends it."""
    items = [(item.product_id, item.quantity) for item in event.read(Requested).order.items]
    saga = saga_of(event)
    done = await act(tx, event, STEP, lambda tx: reservations.reserve(tx, saga, items))
    if done.state == "Succeeded":
        await _publish(tx, event, "stock-reserved", 1, {"order": event.payload["order"], **done.reply})
    elif done.state == "Failed":
        await _publish(tx, event, "stock-refused", 1, {"reason": done.reply["detail"]})


@reactions.on("payments.payment-declined")
@reactions.on("payments.payment-refunded")
async def release(tx: Connection, event: ReceivedEvent) -> None:
    """Undo the reservation: the step after it was refused or undone."""
    saga = saga_of(event)
    done = await undo(
        tx, event, STEP, lambda tx, reserved: reservations.release(tx, saga, UUID(reserved["reservationId"]))
    )
    if not done.replayed:
        await _publish(tx, event, "stock-released", 2, {"reason": event.payload.get("reason")})


@reactions.on("orders.order-confirmed")
async def sell(tx: Connection, event: ReceivedEvent) -> None:
    """Turn the reservation into a sale: the order stands. A refusal parks the event, because nothing can be undone."""
    await reservations.sell(tx, saga_of(event))


async def _publish(tx: Connection, event: ReceivedEvent, kind: str, version: int, payload: dict[str, Any]) -> None:
    await publish(
        tx,
        OutboxEvent(
            aggregate_type="reservation",
            aggregate_id=saga_of(event),
            aggregate_version=version,
            event_type=kind,
            payload=payload,
        ),
    )


def saga_of(event: ReceivedEvent) -> UUID:
    """All events of one order have the saga's id as their key, so that they stay in order."""
    return UUID(event.key)
