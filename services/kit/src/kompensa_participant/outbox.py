"""The outbox: an event is a row in the transaction of the change it tells, so neither can be lost alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from kompensa_participant.context import current


@dataclass(frozen=True, kw_only=True)
class OutboxEvent:
    """A change of one aggregate, with the full state after it.

    `aggregate_version` must have been assigned under the lock of the aggregate's row.
    """

    aggregate_type: str
    aggregate_id: UUID
    aggregate_version: int
    event_type: str
    payload: Mapping[str, Any]
    event_version: str = "1.0"


async def publish(connection: AsyncConnection[Any], event: OutboxEvent) -> None:
    """Write the event into the current transaction; saga and trace come from the request being served."""
    request = current()
    await connection.execute(
        "INSERT INTO outbox (id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload,"
        " traceparent, saga_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            uuid4(),
            event.aggregate_type,
            event.aggregate_id,
            event.aggregate_version,
            event.event_type,
            event.event_version,
            Jsonb(dict(event.payload)),
            request.traceparent,
            request.saga_id,
        ),
    )
