"""Orders that are placed by events: the request, its state, and the events about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from kompensa_participant import OutboxEvent, publish

Connection = AsyncConnection[Any]


async def begin(connection: Connection, saga_id: UUID, request: Mapping[str, Any], *, seconds: float) -> None:
    """Keep the request, and publish it, unless the placement has begun already."""
    cursor = await connection.execute(
        "INSERT INTO placements (saga_id, request, status, deadline)"
        " VALUES (%s, %s, 'running', clock_timestamp() + make_interval(secs => %s)) ON CONFLICT DO NOTHING",
        (saga_id, Jsonb(request), seconds),
    )
    if cursor.rowcount:
        await _publish(connection, saga_id, 1, "order-requested", {"order": request})


async def find(connection: Connection, saga_id: UUID) -> dict[str, Any] | None:
    """One placement, with the id of its order once the order stands."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT p.*, o.id AS order_id FROM placements p"
            " LEFT JOIN orders o ON o.saga_id = p.saga_id AND p.status = 'placed' WHERE p.saga_id = %s",
            (saga_id,),
        )
        return await cursor.fetchone()


async def announce(connection: Connection, saga_id: UUID, event_type: str, payload: Mapping[str, Any]) -> None:
    """Publish an event of the placement, with its next version."""
    cursor = await connection.execute(
        "UPDATE placements SET version = version + 1 WHERE saga_id = %s RETURNING version", (saga_id,)
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError(f"saga {saga_id} is not placed by events here: its events belong to another installation")
    await _publish(connection, saga_id, row[0], event_type, payload)


async def lock_running(connection: Connection, saga_id: UUID) -> dict[str, Any] | None:
    """A placement that still goes forward, and does so until the transaction ends; None if it does not."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT * FROM placements WHERE saga_id = %s AND status = 'running' FOR UPDATE", (saga_id,)
        )
        return await cursor.fetchone()


async def keep_payment(connection: Connection, saga_id: UUID, payment_id: UUID) -> None:
    """Keep the payment's id until the order is confirmed, which records it."""
    await connection.execute("UPDATE placements SET payment_id = %s WHERE saga_id = %s", (payment_id, saga_id))


async def end(connection: Connection, saga_id: UUID, status: str, *, reason: str | None = None) -> None:
    """Write how it ended; the reason of the first failure stays."""
    await connection.execute(
        "UPDATE placements SET status = %s, reason = coalesce(reason, %s), ended_at = clock_timestamp()"
        " WHERE saga_id = %s AND status IN ('running', 'undoing')",
        (status, reason, saga_id),
    )


async def turn_back(connection: Connection, saga_id: UUID, reason: str | None) -> None:
    await connection.execute(
        "UPDATE placements SET status = 'undoing', reason = coalesce(reason, %s)"
        " WHERE saga_id = %s AND status = 'running'",
        (reason, saga_id),
    )


async def expired(connection: Connection, *, limit: int) -> list[UUID]:
    """Lock placements whose deadline has passed; those that another process has locked are left to it."""
    cursor = await connection.execute(
        "SELECT saga_id FROM placements WHERE status = 'running' AND deadline < clock_timestamp()"
        " ORDER BY deadline LIMIT %s FOR UPDATE SKIP LOCKED",
        (limit,),
    )
    return [row[0] for row in await cursor.fetchall()]


async def _publish(
    connection: Connection, saga_id: UUID, version: int, event_type: str, payload: Mapping[str, Any]
) -> None:
    await publish(
        connection,
        OutboxEvent(
            aggregate_type="placement",
            aggregate_id=saga_id,
            aggregate_version=version,
            event_type=event_type,
            payload=payload,
        ),
    )
