"""Keep one copy up to date: in sessions that claim, read and write, with a new session after each failure.

There are two levels of retries. Inside a session, RetryingWriter retries a batch while the database is in trouble; the
consumer stays in its group, paused. A session ends if only a new one can help: if it was fenced off, if the table has
changed, or if the Kafka client is broken. The next session reads all its state from the database.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg
import structlog
from confluent_kafka import KafkaException

from kompensa_cdc.events import Event, Poison
from kompensa_cdc.replicas.batch import Applied, Batch
from kompensa_cdc.replicas.batch_reader import BatchReader
from kompensa_cdc.replicas.batch_writer import BatchWriter
from kompensa_cdc.replicas.bookkeeping import Bookkeeping, Claim, FencedError, Partition
from kompensa_cdc.replicas.broker import BrokerError, consumer_config, group_config, missing_topics
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.consumer_spans import record_batch
from kompensa_cdc.replicas.metrics import Metrics
from kompensa_cdc.replicas.parking import count_parked_keys
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.progress import Progress
from kompensa_cdc.replicas.retrying_writer import RetryingWriter
from kompensa_cdc.replicas.spec import ReplicaSpec
from kompensa_cdc.replicas.table import TargetError, TargetTable, read_table
from kompensa_cdc.replicas.target import connect, trouble
from kompensa_common.backoff import Backoff
from kompensa_common.tracing import Spans

SESSION_RETRY = Backoff(first=0.1, longest=10.0)
LOOK_SECONDS = 1.0
"""How often the worker counts parked keys and looks for a rewind. When idle, it then also notices a lost database."""
GOOD_SESSION_SECONDS = 30.0
"""After a session of this length, the back-off starts again at its shortest pause, and the old problem is cleared."""
QUIET_SESSION_SECONDS = 5.0
"""A session that has found nothing to read clears the old problem sooner."""
NAMED_KEYS = 3
"""The largest batch of which a log line names the keys."""

_log = structlog.get_logger(__name__)
_SESSION_TROUBLE = (psycopg.Error, OSError, TimeoutError, KafkaException, BrokerError, TargetError, FencedError)


class Worker:
    """Runs one Replica until `stop`."""

    def __init__(self, spec: ReplicaSpec, *, bootstrap: str, database_url: str, spans: Spans | None = None) -> None:
        """With `spans`, each applied event is one."""
        self._spans = spans
        self.progress = Progress(spec.replica)
        self.metrics = Metrics(self.progress)
        self._spec = spec
        self._bootstrap = bootstrap
        self._database_url = database_url
        self._books = Bookkeeping(spec.target.schema_name, spec.replica)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Finish the batches that were read, leave the consumer group, and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Run one session after the other, with a growing pause after each that failed soon."""
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                await self._session()
            except _SESSION_TROUBLE as error:
                failures = failures + 1 if time.monotonic() - began < GOOD_SESSION_SECONDS else 1
                self._report("session", self._in_words(error))
                await self._rest(SESSION_RETRY.pause(failures))

    async def _session(self) -> None:
        """Check database, table and topics, then read and write, until `stop` or until something fails; raise that."""
        connection = await connect(self._database_url)
        async with connection:
            table = await read_table(connection, self._spec.target)
            await self._books.create_tables(connection)
            self.progress.parked_keys = await count_parked_keys(connection, self._books)
        if missing := await asyncio.to_thread(missing_topics, self._bootstrap, self._spec.topics):
            raise BrokerError(
                f"Kafka at {self._bootstrap} has no topic {', '.join(missing)}: is the Outbox that creates it Ready?"
            )
        writer = BatchWriter.of_table(self._spec, table, self._books)
        await self._read_and_apply(await self._reader(table), writer)

    async def _read_and_apply(self, reader: BatchReader, writer: BatchWriter) -> None:
        reading = asyncio.create_task(asyncio.to_thread(reader.run))
        applying = asyncio.create_task(self._apply_all(reader, writer))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((reading, applying, stopping), return_when=asyncio.FIRST_COMPLETED)
            reader.stop(drain=not applying.done())
            await asyncio.wait((reading,))  # ends by itself: after one poll, the drain, the client's socket time-out
        finally:
            reader.stop(drain=False)
            for task in (applying, stopping):
                task.cancel()
        for ended in await asyncio.gather(reading, applying, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _reader(self, table: TargetTable) -> BatchReader:
        group = await asyncio.to_thread(group_config, self._bootstrap)
        return BatchReader(
            consumer_config={**consumer_config(self._bootstrap, self._spec), **group},
            topics=self._spec.topics,
            max_records=self._spec.max_records,
            max_wait_seconds=self._spec.max_wait_seconds,
            prepare=preparer(self._spec, table),
            claim=self._claim,
            progress=self.progress,
        )

    async def _claim(self, partitions: Sequence[Partition]) -> dict[Partition, Claim]:
        async with await connect(self._database_url) as connection:
            return await self._books.claim(connection, partitions)

    async def _apply_all(self, reader: BatchReader, writer: BatchWriter) -> None:
        async with RetryingWriter(
            writer, database_url=self._database_url, progress=self.progress, metrics=self.metrics
        ) as retrying:
            count_at = 0.0
            began = time.monotonic()
            while True:
                batch = await _next(reader.queue)
                if batch is not None:
                    writing_since = time.time()
                    applied = await retrying.write(batch)
                    self._applied(batch, applied)
                    self._record_spans(batch, applied, writing_since)
                    reader.queue.task_done()
                if batch is not None or self._is_good(time.monotonic() - began):
                    self.progress.clear_problem("session")
                if time.monotonic() >= count_at:
                    # `retry` and `rewind`, in other processes, change both.
                    self.progress.parked_keys = await retrying.count_parked()
                    if self.progress.is_ahead_of(await retrying.offsets()):
                        raise FencedError(f"replica {self._spec.replica} was rewound: its topics are read again")
                    count_at = time.monotonic() + LOOK_SECONDS

    def _is_good(self, session_seconds: float) -> bool:
        """Whether the last session's problem is over, although no batch came. The first batch might show it again."""
        quiet = self.progress.is_up_to_date and session_seconds >= QUIET_SESSION_SECONDS
        return quiet or session_seconds >= GOOD_SESSION_SECONDS

    def _applied(self, batch: Batch, applied: Applied) -> None:
        now = datetime.now(UTC)
        self.progress.moved(batch.moves)
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

    def _record_spans(self, batch: Batch, applied: Applied, began: float) -> None:
        if self._spans is not None:
            replica, table = self._spec.replica, self._spec.target.table
            record_batch(self._spans, batch, applied, replica=replica, table=table, began=began, ended=time.time())

    def _report_parked(self, parked: Sequence[Poison]) -> None:
        self.metrics.parked.inc(len(parked))
        for event in parked:
            place = f"{event.topic}/{event.partition}@{event.offset}"
            self.progress.note(f"key {event.key} is parked since {place}: {event.error}")
            _log.warning("key parked", replica=self._spec.replica, key=event.key, at=place, error=event.error)

    def _log_applied(self, batch: Batch, applied: Applied) -> None:
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

    def _report(self, thing: str, text: str) -> None:
        if self.progress.report_problem(thing, text):
            _log.warning(text, replica=self._spec.replica)

    def _in_words(self, error: Exception) -> str:
        if isinstance(error, KafkaException):
            return f"Kafka at {self._bootstrap}: {error.args[0].str()}"
        if isinstance(error, psycopg.Error | OSError):
            return trouble(self._database_url, error)
        return str(error)

    async def _rest(self, seconds: float) -> None:
        """Wait, but not past a stop."""
        waiting = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((waiting,), timeout=seconds)
        waiting.cancel()


def _synced(batch: Batch, applied: Applied) -> list[Event]:
    aside = {event.place for event in applied.parked}
    events = [item.event for item in batch.items if isinstance(item, Change)]
    return [event for event in events if event.place not in aside]


async def _next(queue: asyncio.Queue[Batch]) -> Batch | None:
    """Return the next batch, or None if none comes for a while."""
    try:
        return await asyncio.wait_for(queue.get(), LOOK_SECONDS)
    except TimeoutError:
        return None
