"""The past of an order, from its events: all of them (S55), and the state at an instant (S57)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from kompensa_eventstore import StoredEvent
from kompensa_participant import Problem, Refused, utc
from orders.adapters import adoption, order_events, order_rows
from orders.domain.aggregate import load, row_status

Connection = AsyncConnection[Any]


async def events_of(connection: Connection, order_id: UUID) -> list[StoredEvent]:
    """All events of an order, in order.

    Raises
    ------
    Problem
        404 `unknown-order`.
    """
    row = await order_rows.find(connection, order_id)
    if row is None:
        raise order_events.unknown_order(order_id)
    return await _read(connection, row, until=None)


async def order_at(connection: Connection, row: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The order as it was, in the form of its row.

    Raises
    ------
    Problem
        404 `not-yet-created`, 422 `instant-in-the-future`.
    """
    now = datetime.now(UTC)
    if at > now:
        raise Refused("instant-in-the-future", f"{utc(at)} is not in the past; it is {utc(now)}")
    events = await _read(connection, row, until=at)
    order = load(order_events.domain_event(event) for event in events)
    if order is None:
        raise Problem(404, "not-yet-created", f"order {row['id']} did not exist at {utc(at)}, but later")
    return {
        "id": order.order_id,
        "saga_id": row["saga_id"],
        "customer_id": order.customer_id,
        "total_amount": order.total_amount,
        "status": row_status(order.status),
        "created_at": events[0].occurred_at,
        "updated_at": events[-1].occurred_at,
        "items": [vars(item) for item in order.items],
    }


async def _read(connection: Connection, row: dict[str, Any], *, until: datetime | None) -> list[StoredEvent]:
    """Read the stream. If it is incomplete, adopt the order first."""
    if row["stream_status"] != row["status"]:
        await adoption.adopt(connection, row["id"])
    return await order_events.read(connection, row["id"], until=until)
