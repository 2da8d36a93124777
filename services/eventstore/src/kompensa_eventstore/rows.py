"""Makes a `StoredEvent` from a row of the table."""

from __future__ import annotations

from typing import Any

from kompensa_eventstore.event_types import EventTypes
from kompensa_eventstore.events import Position, Provenance, StoredEvent, Stream

COLUMNS = (
    "id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, occurred_at,"
    " actor, correlation_id, causation_id, saga_id, traceparent, transaction_id::text AS transaction, position"
)


def stored(row: tuple[Any, ...], types: EventTypes | None) -> StoredEvent:
    """The event in a row of `COLUMNS`, with its data in the newest version."""
    id_, aggregate_type, aggregate_id, version, type_, schema_version, data, occurred_at, *rest = row
    actor, correlation_id, causation_id, saga_id, traceparent, transaction, number = rest
    if types is not None:
        schema_version, data = types.upcast(type_, schema_version, data)
    return StoredEvent(
        id=id_,
        stream=Stream(aggregate_type, aggregate_id),
        version=version,
        type=type_,
        schema_version=schema_version,
        data=data,
        occurred_at=occurred_at,
        provenance=Provenance(
            actor=actor,
            correlation_id=correlation_id,
            causation_id=causation_id,
            saga_id=saga_id,
            traceparent=traceparent,
        ),
        position=Position(int(transaction), number),
    )
