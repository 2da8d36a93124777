"""Load, decide, append. If another writer was faster, load and decide again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import AsyncConnection

from kompensa_eventstore.errors import VersionConflictError
from kompensa_eventstore.events import UNKNOWN_PROVENANCE, NewEvent, Provenance, StoredEvent, Stream
from kompensa_eventstore.store import EventStore

ATTEMPTS = 5
FIRST_PAUSE_SECONDS = 0.005

Decide = Callable[[Sequence[StoredEvent]], Sequence[NewEvent]]
"""From all events of a stream to the new ones. It must be pure, as it may be called several times. To refuse, raise."""


async def decide(
    store: EventStore,
    connection: AsyncConnection[Any],
    stream: Stream,
    decision: Decide,
    *,
    provenance: Provenance = UNKNOWN_PROVENANCE,
    attempts: int = ATTEMPTS,
) -> list[StoredEvent]:
    """Append the events that `decision` makes from the stream, and return them. It may make none.

    Use isolation level READ COMMITTED, in which a retry sees the events of the faster writer. Under REPEATABLE READ and
    SERIALIZABLE, PostgreSQL ends the transaction instead, and the caller has to retry all of it.

    Raises
    ------
    VersionConflictError
        Another writer was faster in each attempt.
    """
    for attempt in range(1, attempts + 1):
        events = await store.read(connection, stream)
        version = events[-1].version if events else 0
        try:
            return await store.append(
                connection, stream, decision(events), expected_version=version, provenance=provenance
            )
        except VersionConflictError:
            if attempt == attempts:
                raise
            await asyncio.sleep(random.uniform(0, FIRST_PAUSE_SECONDS * 2**attempt))  # noqa: S311 - spreads retries
    raise AssertionError("attempts must be at least 1")
