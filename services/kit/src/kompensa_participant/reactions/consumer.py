"""Run a service's reactions: the consumer loop, the retrier of the events that were put aside, and periodic work.

They run in the service's process, each with a database connection. Any number of processes may run: Kafka
shares the partitions among them, and row locks share the retries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from kompensa_common.tracing import Spans
from kompensa_consumer import ConsumerLoop, ConsumerSession, OffsetTable, RetryingConnection, SessionError, Subscription
from kompensa_consumer.database import connect, trouble
from kompensa_participant.reactions import inbox, metrics
from kompensa_participant.reactions.arrival import Arrival, arrival_of
from kompensa_participant.reactions.declaration import Periodic, Reactions
from kompensa_participant.reactions.handling import EventWriter, Outcome, retry_next
from kompensa_participant.reactions.periodic import repeat
from kompensa_participant.reactions.progress import ReactionsProgress
from kompensa_participant.reactions.spans import span_of

MAX_RECORDS = 200
MAX_WAIT_SECONDS = 0.05
LOOK_SECONDS = 1.0
"""How often the retrier looks for events that another process has put aside, released or retried."""
SHORTEST_PAUSE_SECONDS = 0.05
AFTER_ERROR_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class ReactionsConsumer:
    """Runs the reactions of one service until `stop`.

    Parameters
    ----------
    service
        The service's name, which is also its schema.
    bootstrap
        Addresses of brokers.
    group
        The consumer group, or None for `kompensa-reactions.<service>`.
    spans
        Takes a span for each event that was handled.
    """

    def __init__(
        self,
        reactions: Reactions,
        *,
        service: str,
        database_url: str,
        bootstrap: str,
        group: str | None = None,
        spans: Spans | None = None,
    ) -> None:
        self.progress = ReactionsProgress(service)
        self._reactions = reactions
        self._service = service
        self._spans = spans
        self._database_url = database_url
        self._offsets = OffsetTable(schema=service, table="reaction_offsets", column="consumer", consumer=service)
        self._connect = partial(connect, database_url, application_name=f"{service} reactions", search_path=service)
        self._put_aside = asyncio.Event()
        self._loop = ConsumerLoop(
            Subscription(
                bootstrap=bootstrap,
                group=group or f"kompensa-reactions.{service}",
                topics=reactions.topics,
                max_records=MAX_RECORDS,
                max_wait_seconds=MAX_WAIT_SECONDS,
                needs_all_topics=False,
            ),
            offsets=self._offsets,
            connect=self._connect,
            database_url=database_url,
            begin=self._begin,
            progress=self.progress,
            on_retry=metrics.RETRIES.inc,
            most_records=1,
        )

    def stop(self) -> None:
        """Finish the event in hand, leave the consumer group, and return from `run`."""
        self._loop.stop()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run next to the service's own work, and finish the event in hand before leaving."""
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self.stop()
            await task

    def observe_metrics(self) -> None:
        """Bring the gauges up to date, before they are read."""
        metrics.observe(self.progress)

    async def run(self) -> None:
        """Read, handle and retry. An error that is not expected ends both, and then `progress.alive` is False."""
        reading = asyncio.create_task(self._loop.run())
        others = [asyncio.create_task(self._retry_all())]
        others += [asyncio.create_task(self._repeat(periodic)) for periodic in self._reactions.periodic]
        try:
            await asyncio.wait((reading, *others), return_when=asyncio.FIRST_COMPLETED)
            self._loop.stop()
            await reading
            for task in others:
                if task.done():
                    task.result()
        except Exception as error:
            self.progress.crashed = True
            self.progress.report_problem("consumer", f"the reactions have crashed: {type(error).__name__}: {error}")
            _log.exception("the reactions have crashed: the process must be restarted")
        finally:
            for task in others:
                task.cancel()

    async def _begin(self, connection: AsyncConnection[Any]) -> ConsumerSession[Arrival, list[Outcome]]:
        await self._look(connection)
        return ConsumerSession(
            prepare=lambda record: arrival_of(record, self._reactions),
            writer=EventWriter(self._offsets),
            written=lambda _, outcomes, began: self._report(outcomes, began),
            look=self._look,
        )

    async def _look(self, connection: AsyncConnection[Any]) -> None:
        try:
            self.progress.waiting = await inbox.count_waiting(connection)
        except psycopg.errors.UndefinedTable:
            raise SessionError(
                f"schema {self._service} has no table inbox: add op.execute(reaction_tables()) to a migration,"
                " and run migrate"
            ) from None

    def _report(self, outcomes: list[Outcome], began: float) -> None:
        for outcome in outcomes:
            outcome.report()
            self._record(outcome, began)
            event = outcome.arrival.event
            if event is not None:
                self.progress.note_applied(event.occurred_at)
            if outcome.result == "failed":
                self._put_aside.set()  # its first retry may be sooner than the retrier looks by itself
            if outcome.result == "parked" and outcome.failure is not None:
                self.progress.note(f"event {outcome.arrival.id} is parked: {outcome.failure.error}")

    def _record(self, outcome: Outcome, began: float) -> None:
        if self._spans is not None and outcome.result == "handled":
            span = span_of(outcome.arrival, service=self._service, began=began, ended=time.time())
            if span is not None:
                self._spans.record(span)

    async def _retry_all(self) -> None:
        """Retry events as they become due, without end."""
        async with self._connection() as connection:
            while True:
                try:
                    await self._retry_due(connection)
                    pause = _pause_until(await connection.run(inbox.seconds_to_next))
                    self.progress.clear_problem("retries")
                except psycopg.Error as error:
                    self.progress.report_problem("retries", trouble(self._database_url, error))
                    pause = AFTER_ERROR_SECONDS
                await self._rest(pause)

    async def _repeat(self, periodic: Periodic) -> None:
        async with self._connection() as connection:
            await repeat(periodic, connection, self.progress)

    def _connection(self) -> RetryingConnection:
        return RetryingConnection(
            self._connect, database_url=self._database_url, progress=self.progress, on_retry=metrics.RETRIES.inc
        )

    async def _retry_due(self, connection: RetryingConnection) -> None:
        while True:
            began = time.time()
            outcome = await connection.run(lambda open_one: retry_next(open_one, self._reactions))
            if outcome is None:
                return
            self._report([outcome], began)

    async def _rest(self, seconds: float) -> None:
        """Wait, but not once another event was put aside."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._put_aside.wait(), seconds)
        self._put_aside.clear()


def _pause_until(due: float | None) -> float:
    """The pause before the next look. An event that is due already may be locked by another process."""
    return LOOK_SECONDS if due is None else min(max(due, SHORTEST_PAUSE_SECONDS), LOOK_SECONDS)
