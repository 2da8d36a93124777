"""An event store in one PostgreSQL table (S50-S58).

- `tables`: DDL for an append-only table with versions, a global order and notifications.
- `store`: appends to a stream in the caller's transaction. Reads a stream from a version or up to an instant.
- `decisions`: loads, decides and appends. Repeats this if another writer was faster.
- `feed`: reads all streams in one order, and wakes the reader when there is more.
- `event_types`: a JSON Schema for each type and version, and upcasts from old versions to new ones.
- `projections`: read models that follow the feed.

The package depends on psycopg and PostgreSQL, and of this product only on `kompensa_common`.
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
from kompensa_eventstore.poolers import PoolerError
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
    "PoolerError",
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
