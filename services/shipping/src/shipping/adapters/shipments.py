"""Shipments, and the event of each change in the same transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg import AsyncConnection, errors
from psycopg.rows import dict_row

from kompensa_participant import OutboxEvent, Problem, Refused, publish
from shipping.adapters import orders
from shipping.domain import shipment as domain
from shipping.domain.order import require_shippable
from shipping.domain.shipment import Shipment, ShipmentStatus

Connection = AsyncConnection[Any]

_COLUMNS: LiteralString = (
    "id, orders_order_id AS order_id, status, version, created_at, tracking_number, dispatched_at, delivered_at"
)
_INSERT = f"""
INSERT INTO shipments (id, orders_order_id, status) VALUES (%(id)s, %(order_id)s, 'prepared')
ON CONFLICT (orders_order_id) DO NOTHING RETURNING {_COLUMNS}
"""
_UPDATE = """
UPDATE shipments SET status = %(status)s, version = %(version)s, tracking_number = %(tracking_number)s,
       dispatched_at = %(dispatched_at)s, delivered_at = %(delivered_at)s
 WHERE id = %(id)s
"""
_PAGE = f"""
SELECT {_COLUMNS} FROM shipments
 WHERE (%(after)s::uuid IS NULL OR id > %(after)s) AND (%(status)s::text IS NULL OR status = %(status)s)
 ORDER BY id LIMIT %(limit)s
"""


async def prepare(connection: Connection, order_id: UUID) -> tuple[Shipment, bool]:
    """Make the shipment of a paid order, which publishes `shipment-prepared`; and return whether it is new.

    An order has one shipment.

    Raises
    ------
    Problem
        404 `unknown-order`.
    Refused
        409 `order-not-paid`, `order-cancelled`.
    """
    status = await orders.status_of(connection, order_id)
    if status is None:
        detail = f"order {order_id} is not known to shipping: orders has none, or its events are on their way"
        raise Problem(404, "unknown-order", detail)
    require_shippable(order_id, status)
    made = await _one(connection, _INSERT, {"id": uuid4(), "order_id": order_id})
    if made is not None:
        await _publish(connection, "shipment-prepared", made)
        return made, True
    found = await _one(
        connection, f"SELECT {_COLUMNS} FROM shipments WHERE orders_order_id = %(order_id)s", {"order_id": order_id}
    )
    assert found is not None
    return found, False


async def dispatch(connection: Connection, shipment_id: UUID, *, tracking_number: str) -> Shipment:
    """Hand a shipment to the courier, which publishes `shipment-dispatched`.

    Raises
    ------
    Problem
        404 `unknown-shipment`.
    Refused
        409 `shipment-already-dispatched`, `tracking-number-taken`.
    """
    now = datetime.now(UTC)
    try:
        return await _change(
            connection,
            shipment_id,
            lambda shipment: domain.dispatch(shipment, tracking_number=tracking_number, now=now),
            event_type="shipment-dispatched",
        )
    except errors.UniqueViolation as error:
        detail = f"another shipment has the tracking number {tracking_number}; each parcel has its own"
        raise Refused("tracking-number-taken", detail, status=409) from error


async def deliver(connection: Connection, shipment_id: UUID) -> Shipment:
    """Record that a shipment has arrived, which publishes `shipment-delivered`.

    Raises
    ------
    Problem
        404 `unknown-shipment`.
    Refused
        409 `shipment-not-dispatched`.
    """
    now = datetime.now(UTC)
    return await _change(
        connection, shipment_id, lambda shipment: domain.deliver(shipment, now=now), event_type="shipment-delivered"
    )


async def find(connection: Connection, shipment_id: UUID) -> Shipment:
    """Return one shipment.

    Raises
    ------
    Problem
        404 `unknown-shipment`.
    """
    return await _found(connection, f"SELECT {_COLUMNS} FROM shipments WHERE id = %(id)s", shipment_id)


async def page(
    connection: Connection, *, limit: int, after: UUID | None, status: ShipmentStatus | None
) -> list[Shipment]:
    """Shipments in the order of their ids, from after the given one; of one status if asked."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_PAGE, {"after": after, "limit": limit, "status": status and status.value})
        return [_shipment(row) for row in await cursor.fetchall()]


async def _change(
    connection: Connection, shipment_id: UUID, decision: Callable[[Shipment], Shipment], *, event_type: str
) -> Shipment:
    """Decide under the lock of the row. A decision that changes nothing publishes nothing."""
    statement: LiteralString = f"SELECT {_COLUMNS} FROM shipments WHERE id = %(id)s FOR UPDATE"
    before = await _found(connection, statement, shipment_id)
    after = decision(before)
    if after == before:
        return after
    await connection.execute(_UPDATE, {**vars(after), "status": after.status.value})
    await _publish(connection, event_type, after)
    return after


async def _publish(connection: Connection, event_type: str, shipment: Shipment) -> None:
    event = OutboxEvent(
        aggregate_type="shipment",
        aggregate_id=shipment.id,
        aggregate_version=shipment.version,
        event_type=event_type,
        payload=domain.payload(shipment),
    )
    await publish(connection, event)


async def _found(connection: Connection, statement: LiteralString, shipment_id: UUID) -> Shipment:
    shipment = await _one(connection, statement, {"id": shipment_id})
    if shipment is None:
        raise Problem(404, "unknown-shipment", f"shipment {shipment_id} does not exist")
    return shipment


async def _one(connection: Connection, statement: LiteralString, values: dict[str, Any]) -> Shipment | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        row = await cursor.fetchone()
    return _shipment(row) if row else None


def _shipment(row: dict[str, Any]) -> Shipment:
    return Shipment(**{**row, "status": ShipmentStatus(row["status"])})
