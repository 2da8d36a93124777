"""Makes a `StoredEvent` from a row of the table."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kompensa_eventstore.errors import UnknownEventError
from kompensa_eventstore.event_types import EventTypes
from kompensa_eventstore.events import UNKNOWN_PROVENANCE, Position, Provenance, StoredEvent, Stream

COLUMNS = (
    "id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload::text, occurred_at,"
    " transaction_id::text AS transaction, position,"
    " actor, correlation_id, causation_id, saga_id, traceparent"
)
"""The data are read as text, which is decoded here twice as fast as psycopg does it."""
PROVENANCE = ("actor", "correlation_id", "causation_id", "saga_id", "traceparent")
_NO_PROVENANCE = (None,) * len(PROVENANCE)
_decode = json.JSONDecoder().raw_decode
"""Decodes JSON that has no space around it, such as the text of a jsonb."""


def stored(row: tuple[Any, ...], types: EventTypes | None) -> StoredEvent:
    """The event in a row of `COLUMNS`, with its data in the newest version.

    Raises
    ------
    UnknownEventError
        Newer code wrote it, or the upcast of its version failed.
    """
    id_, aggregate_type, aggregate_id, version, type_, schema_version, text, occurred_at, transaction, number = row[:10]
    origin = row[10:]
    event = StoredEvent(
        id=id_,
        stream=Stream(aggregate_type, aggregate_id),
        version=version,
        type=type_,
        schema_version=schema_version,
        data=_decode(text)[0],
        occurred_at=occurred_at,
        provenance=(
            UNKNOWN_PROVENANCE if origin == _NO_PROVENANCE else Provenance(**dict(zip(PROVENANCE, origin, strict=True)))
        ),
        position=Position(int(transaction), number),
    )
    return event if types is None or types.newest.get(type_) == schema_version else _upcast(event, types)


def _upcast(event: StoredEvent, types: EventTypes) -> StoredEvent:
    try:
        schema_version, data = types.upcast(event.type, event.schema_version, event.data)
    except Exception as error:
        text = f"{event.stream}, version {event.version}: {error}"
        raise UnknownEventError(text, event=event) from error
    return replace(event, schema_version=schema_version, data=data)
