"""The outbox: an event is a row in the transaction of the change it is about, so that neither can be lost alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from kompensa_participant.context import current
from kompensa_participant.problem import Refused

MAX_EVENT_BYTES = 1_048_576
"""The default of an Outbox's `spec.maxEventBytes`: a larger row would not be published."""


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


async def publish(connection: AsyncConnection[Any], event: OutboxEvent, *, max_bytes: int = MAX_EVENT_BYTES) -> None:
    """Write the event into the current transaction; saga and trace come from the request being served.

    Parameters
    ----------
    max_bytes
        The limit of the Outbox that publishes this table, if it is not the default.

    Raises
    ------
    Refused
        If the payload is larger. Nothing of it is written; the caller's transaction has to end without it.
    """
    request = current()
    text = json.dumps(dict(event.payload), ensure_ascii=False)
    require_size(event, len(text.encode()), max_bytes)
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
            Jsonb(event.payload, dumps=lambda _: text),
            request.traceparent,
            request.saga_id,
        ),
    )


def require_size(event: OutboxEvent, size: int, max_bytes: int) -> None:
    """See that an event of this many bytes will be published.

    Raises
    ------
    Refused
        422 `event-too-large`.
    """
    if size > max_bytes:
        raise Refused(
            "event-too-large",
            f"the event {event.event_type} of {event.aggregate_type} {event.aggregate_id} has {size} bytes, more than "
            f"the {max_bytes} that are published: put large content elsewhere, and its address into the event",
        )
