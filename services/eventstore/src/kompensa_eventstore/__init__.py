"""An event store in one PostgreSQL table (S50-S58).

    tables        DDL: append-only, expected versions, a global order, notifications
    store         append to a stream in the caller's transaction; read it from a version or up to an instant
    decisions     load, decide, append, and again if another was faster
    feed          all streams in one order; a reader that is woken
    event_types   a JSON Schema for each type and version, and upcasts from old to new

It knows psycopg and PostgreSQL, and nothing of the rest of the product.
"""

from kompensa_eventstore.decisions import Decide, decide
from kompensa_eventstore.errors import (
    EventStoreError,
    InvalidEventError,
    RestoredElsewhereError,
    UnknownEventError,
    VersionConflictError,
)
from kompensa_eventstore.event_types import EventTypes, Upcast
from kompensa_eventstore.events import BEGINNING, NewEvent, Position, Provenance, StoredEvent, Stream
from kompensa_eventstore.feed import Feed, Page
from kompensa_eventstore.store import EventStore
from kompensa_eventstore.tables import after_restore, channel, events_table, serving_grants

__all__ = [
    "BEGINNING",
    "Decide",
    "EventStore",
    "EventStoreError",
    "EventTypes",
    "Feed",
    "InvalidEventError",
    "NewEvent",
    "Page",
    "Position",
    "Provenance",
    "RestoredElsewhereError",
    "StoredEvent",
    "Stream",
    "UnknownEventError",
    "Upcast",
    "VersionConflictError",
    "after_restore",
    "channel",
    "decide",
    "events_table",
    "serving_grants",
]
