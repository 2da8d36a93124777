"""Keep one copy up to date: what a Replica adds to the loop of kompensa_consumer.

A session reads the target table as it is, composes the statements for it, and writes batches into it. If the table
changes, the session ends, and the next one reads the table again.
"""

import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

import structlog
from psycopg import AsyncConnection

from kompensa_cdc.replicas.applied import Applied
from kompensa_cdc.replicas.batch_writer import BatchWriter
from kompensa_cdc.replicas.bookkeeping import Bookkeeping
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.consumer_spans import record_batch
from kompensa_cdc.replicas.metrics import Metrics
from kompensa_cdc.replicas.parking import count_parked_keys
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.progress import ReplicaProgress
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_cdc.replicas.table import read_table
from kompensa_common.tracing import Spans
from kompensa_consumer import Batch, ConsumerLoop, ConsumerSession, Event, Poison, Subscription
from kompensa_consumer.database import connect

NAMED_KEYS = 3
"""The largest batch of which a log line names the keys."""

_log = structlog.get_logger(__name__)


class Worker:
    """Runs one Replica until `stop`."""

    def __init__(self, spec: ReplicaSpec, *, bootstrap: str, database_url: str, spans: Spans | None = None) -> None:
        """With `spans`, each applied event is one."""
        self._spans = spans
        self.progress = ReplicaProgress(spec.replica)
        self.metrics = Metrics(self.progress)
        self._spec = spec
        self._books = Bookkeeping(spec.target.schema_name, spec.replica)
        self._loop = ConsumerLoop(
            Subscription(
                bootstrap=bootstrap,
                group=spec.group,
                topics=spec.topics,
                max_records=spec.max_records,
                max_wait_seconds=spec.max_wait_seconds,
            ),
            offsets=self._books.offsets,
            connect=partial(connect, database_url, application_name="kompensa replica"),
            database_url=database_url,
            begin=self._begin,
            progress=self.progress,
            on_retry=self.metrics.retries.inc,
        )

    def stop(self) -> None:
        """Finish the batches that were read, leave the consumer group, and return from `run`."""
        self._loop.stop()

    async def run(self) -> None:
        await self._loop.run()

    async def _begin(self, connection: AsyncConnection) -> ConsumerSession[Change | Poison, Applied]:
        """Read the table, and compose the statements for it."""
        table = await read_table(connection, self._spec.target)
        await self._books.create_tables(connection)
        await self._count_parked(connection)
        return ConsumerSession(
            prepare=preparer(self._spec, table),
            writer=BatchWriter.of_table(self._spec, table, self._books),
            written=self._written,
            look=self._count_parked,
        )

    async def _count_parked(self, connection: AsyncConnection) -> None:
        """Also once a second, since `retry`, in another process, changes the number."""
        self.progress.parked_keys = await count_parked_keys(connection, self._books)

    def _written(self, batch: Batch[Change | Poison], applied: Applied, began: float) -> None:
        self._applied(batch, applied)
        self._record_spans(batch, applied, began)

    def _applied(self, batch: Batch[Change | Poison], applied: Applied) -> None:
        now = datetime.now(UTC)
        self.progress.last_applied_time = now
        self.metrics.records.inc(applied.records)
        self.metrics.rows.inc(applied.written)
        times = [item.event.occurred_at for item in batch.items if isinstance(item, Change)]
        if times:
            self.progress.last_event_time = max(times)
            self.metrics.delay.observe(max(0.0, (now - min(times)).total_seconds()))
        if applied.parked:
            self._report_parked(applied.parked)
        for key in applied.superseded:
            _log.info("events that do not fit are superseded", replica=self._spec.replica, key=key)
        self._log_applied(batch, applied)

    def _record_spans(self, batch: Batch[Change | Poison], applied: Applied, began: float) -> None:
        if self._spans is not None:
            replica, table = self._spec.replica, self._spec.target.table
            record_batch(self._spans, batch, applied, replica=replica, table=table, began=began, ended=time.time())

    def _report_parked(self, parked: Sequence[Poison]) -> None:
        self.metrics.parked.inc(len(parked))
        for event in parked:
            place = f"{event.topic}/{event.partition}@{event.offset}"
            self.progress.note(f"key {event.key} is parked since {place}: {event.error}")
            _log.warning("key parked", replica=self._spec.replica, key=event.key, at=place, error=event.error)

    def _log_applied(self, batch: Batch[Change | Poison], applied: Applied) -> None:
        """Log each batch at info, with its keys if they are few, and each key at debug (S24)."""
        table = self._spec.target.table
        if not batch.items:
            return  # only markers of transactions
        if len(batch.items) <= NAMED_KEYS:
            subject = ", ".join(dict.fromkeys(event.key for event in _synced(batch, applied))) or "nothing"
        else:
            subject = f"{applied.records - len(applied.parked)} changes"
        _log.info(f"{subject} synced to {table}", replica=self._spec.replica, rows=applied.written)
        if not _log.is_enabled_for(logging.DEBUG):
            return
        for event in _synced(batch, applied):
            _log.debug(f"{event.key} synced to {table}", version=event.aggregate_version)


def _synced(batch: Batch[Change | Poison], applied: Applied) -> list[Event]:
    aside = {event.place for event in applied.parked}
    events = [item.event for item in batch.items if isinstance(item, Change)]
    return [event for event in events if event.place not in aside]
