"""Load, decide, append; and if another was faster, load again and decide again."""

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
"""From all events of a stream to those that follow. Pure: it may be called several times. To refuse, raise."""


async def decide(
    store: EventStore,
    connection: AsyncConnection[Any],
    stream: Stream,
    decision: Decide,
    *,
    provenance: Provenance = UNKNOWN_PROVENANCE,
    attempts: int = ATTEMPTS,
) -> list[StoredEvent]:
    """Append what `decision` makes of the stream, and return it; an empty decision writes nothing.

    In a transaction of isolation level READ COMMITTED a retry sees what the faster one has committed. Under
    REPEATABLE READ and SERIALIZABLE PostgreSQL ends the transaction instead: retry all of it.

    Raises
    ------
    VersionConflictError
        If another was faster each time.
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
