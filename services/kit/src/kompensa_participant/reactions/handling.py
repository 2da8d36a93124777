"""Handle one event: offset, inbox row, the handler's change and its events commit together, or not at all.

If the handler fails, its change is rolled back to a savepoint, and the same transaction puts the event aside. So a bad
event never stops its partition, and only its own key waits:

- The first failure makes the event `Retrying`. The Retrier tries it again, after growing pauses.
- Later events of the key are `Held`, unless their reaction is declared with `ordered=False`.
- After the last attempt, or if no attempt can help, the event is `Parked` until a person retries or discards it.

If the database is in trouble, the event is not to blame: the error is raised, and the loop repeats the same attempt.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import structlog
from psycopg import AsyncConnection

from kompensa_consumer import Batch, OffsetTable
from kompensa_participant import context
from kompensa_participant.reactions import inbox, metrics
from kompensa_participant.reactions.arrival import Arrival, arrival_of
from kompensa_participant.reactions.declaration import Reaction, Reactions
from kompensa_participant.reactions.event import ReceivedEvent
from kompensa_participant.reactions.failure import Failure, failure_of, is_trouble

Result = Literal["handled", "duplicate", "held", "failed", "parked"]
Connection = AsyncConnection[Any]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of an event's transaction, which has committed."""

    arrival: Arrival
    result: Result
    attempts: int
    failure: Failure | None = None

    def report(self) -> None:
        """Count and log it. Called after the commit: what was rolled back has not happened."""
        topic, partition, offset = self.arrival.place
        metrics.REACTIONS.labels(topic=topic, outcome=self.result).inc()
        line = _log.bind(
            event_id=str(self.arrival.id),
            topic=topic,
            key=self.arrival.key,
            at=f"{topic}/{partition}@{offset}",
            attempts=self.attempts,
        )
        match self.result:
            case "parked":
                line.error("event parked: retry or discard it", error=self.failure and self.failure.error)
            case "failed":
                line.warning("event failed, will be retried", error=self.failure and self.failure.error)
            case "held":
                line.warning("event held: an earlier event of its key is not settled")
            case "duplicate":
                line.info("event seen before")
            case "handled":
                line.info("event handled")
                _observe_delay(self.arrival.event)


@dataclass(frozen=True)
class EventWriter:
    """The consumer loop's writer. Each batch that it gets holds one event at most."""

    offsets: OffsetTable

    async def prepare_connection(self, connection: Connection) -> None:
        """Nothing to prepare."""

    async def write(self, connection: Connection, batch: Batch[Arrival]) -> list[Outcome]:
        """Handle the batch's event, and move the offset over it, in one transaction.

        Raises
        ------
        FencedError
            If another worker has taken over the partition; nothing was done.
        psycopg.Error
            If the database is in trouble; nothing was done.
        """
        async with connection.transaction():
            await self.offsets.advance(connection, batch.moves)
            return [await _take(connection, arrival) for arrival in batch.items]


async def retry_next(connection: Connection, reactions: Reactions) -> Outcome | None:
    """Try the next event whose turn has come, in one transaction; None if there is none."""
    async with connection.transaction():
        waiting = await inbox.next_due(connection)
        if waiting is None:
            return None
        arrival = arrival_of(waiting.record, reactions)
        failure = await _attempt(connection, arrival)
        attempts = waiting.attempts + 1
        if failure is None:
            await inbox.settle(connection, waiting.event_id)
            return Outcome(arrival=arrival, result="handled", attempts=attempts)
        return await _put_aside(connection, arrival, failure, attempts)


async def _take(connection: Connection, arrival: Arrival) -> Outcome:
    state = await inbox.receive(connection, arrival)
    if state is None:
        return Outcome(arrival=arrival, result="duplicate", attempts=0)
    if state == "Held":
        await inbox.keep(connection, arrival)
        return Outcome(arrival=arrival, result="held", attempts=0)
    failure = await _attempt(connection, arrival)
    if failure is None:
        return Outcome(arrival=arrival, result="handled", attempts=1)
    await inbox.keep(connection, arrival)
    return await _put_aside(connection, arrival, failure, 1)


async def _put_aside(connection: Connection, arrival: Arrival, failure: Failure, attempts: int) -> Outcome:
    pause = _pause_after(arrival.reaction, failure, attempts)
    await inbox.put_aside(connection, arrival.id, failure, attempts=attempts, pause=pause)
    result: Result = "parked" if pause is None else "failed"
    return Outcome(arrival=arrival, result=result, attempts=attempts, failure=failure)


def _pause_after(reaction: Reaction | None, failure: Failure, attempts: int) -> float | None:
    """Seconds until the next attempt; None if there is none."""
    if reaction is None or failure.final or attempts >= reaction.attempts:
        return None
    return reaction.backoff.pause(attempts)


async def _attempt(connection: Connection, arrival: Arrival) -> Failure | None:
    """Run the handler in a savepoint; return its failure. Raises an error for which the database is to blame."""
    if arrival.event is None or arrival.reaction is None:
        return Failure(error=arrival.fault or "", final=True)
    began = time.perf_counter()
    try:
        await _handle(connection, arrival.reaction, arrival.event)
    except Exception as error:
        if is_trouble(error, connection):
            raise
        return failure_of(error, time_limit=arrival.reaction.time_limit)
    finally:
        metrics.SECONDS.labels(topic=arrival.reaction.topic).observe(time.perf_counter() - began)
    return None


async def _handle(connection: Connection, reaction: Reaction, event: ReceivedEvent) -> None:
    labels = {"event_id": str(event.id), "saga_id": str(event.saga_id) if event.saga_id else ""}
    place = event.consequences
    with (
        context.handling(event.saga_id, place.traceparent if place else None, caller=event.topic),
        structlog.contextvars.bound_contextvars(**labels),
    ):
        async with asyncio.timeout(reaction.time_limit), connection.transaction():
            await reaction.handler(connection, event)
            # Deferred constraints would fail at the commit, where the failure could not be put aside.
            await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


def _observe_delay(event: ReceivedEvent | None) -> None:
    if event is not None:
        delay = (datetime.now(UTC) - event.occurred_at).total_seconds()
        metrics.DELAY.labels(topic=event.topic).observe(max(0.0, delay))
