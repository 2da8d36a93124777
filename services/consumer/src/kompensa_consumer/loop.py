"""Run a consumer: in sessions that claim, read and write, with a new session after each failure.

There are two levels of retries. Inside a session, RetryingWriter retries a batch while the database is in trouble; the
consumer stays in its group, paused. A session ends if only a new one can help: if it was fenced off, if the tables have
changed, or if the Kafka client is broken. The next session reads all its state from the database.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic

import psycopg
import structlog
from confluent_kafka import KafkaException
from psycopg import AsyncConnection

from kompensa_common.backoff import Backoff
from kompensa_consumer.batch import Batch, Item
from kompensa_consumer.broker import BrokerError, Subscription, consumer_config, group_config, missing_topics
from kompensa_consumer.connection import Connect, RetryingConnection
from kompensa_consumer.database import trouble
from kompensa_consumer.offsets import Claim, FencedError, OffsetTable, Partition, SessionError
from kompensa_consumer.progress import Progress
from kompensa_consumer.reader import BatchReader
from kompensa_consumer.record import Record
from kompensa_consumer.writer import RetryingWriter, Writer, Written

SESSION_RETRY = Backoff(first=0.1, longest=10.0)
LOOK_SECONDS = 1.0
"""How often the session looks at its tables, and for a rewind. When idle, it then also notices a lost database."""
GOOD_SESSION_SECONDS = 30.0
"""After a session of this length, the back-off starts again at its shortest pause, and the old problem is cleared."""
QUIET_SESSION_SECONDS = 5.0
"""A session that has found nothing to read clears the old problem sooner."""

_log = structlog.get_logger(__name__)
_SESSION_TROUBLE = (psycopg.Error, OSError, KafkaException, SessionError)  # OSError covers TimeoutError


@dataclass(frozen=True, kw_only=True)
class ConsumerSession(Generic[Item, Written]):
    """The functions that a consumer applies to its records, from one start of reading to the next.

    Attributes
    ----------
    prepare
        Turns a record into an item. Called in the reader's thread. It must not raise: the same record would come again.
    writer
        Writes batches of items.
    written
        Called with each batch, or part of one, that is committed, and when it began: in seconds since the epoch.
    look
        Called about once a second, to read what others may have changed, such as parked events.
    """

    prepare: Callable[[Record], Item]
    writer: Writer[Item, Written]
    written: Callable[[Batch[Item], Written, float], None]
    look: Callable[[AsyncConnection], Awaitable[None]]


class ConsumerLoop(Generic[Item, Written]):
    """Runs one consumer until `stop`.

    Parameters
    ----------
    subscription
        The topics to read.
    offsets
        The table of the offsets.
    connect
        Opens connections to the database, in autocommit.
    database_url
        For messages.
    begin
        Prepares a session; the connection is closed afterwards. A SessionError says why there cannot be one now.
    progress
        The consumer's state, for endpoints and metrics.
    on_retry
        Called before each retry of a batch, to count it.
    most_records
        The largest number of records in one transaction.
    """

    def __init__(
        self,
        subscription: Subscription,
        *,
        offsets: OffsetTable,
        connect: Connect,
        database_url: str,
        begin: Callable[[AsyncConnection], Awaitable[ConsumerSession[Item, Written]]],
        progress: Progress,
        on_retry: Callable[[], None] = lambda: None,
        most_records: int = sys.maxsize,
    ) -> None:
        self._subscription = subscription
        self._offsets = offsets
        self._connect = connect
        self._database_url = database_url
        self._begin = begin
        self._progress = progress
        self._on_retry = on_retry
        self._most_records = most_records
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
                await self._run_session()
            except _SESSION_TROUBLE as error:
                failures = failures + 1 if time.monotonic() - began < GOOD_SESSION_SECONDS else 1
                self._report("session", self._in_words(error))
                await self._rest(SESSION_RETRY.pause(failures))

    async def _run_session(self) -> None:
        """Prepare, then read and write, until `stop` or until something fails; raise that."""
        async with await self._connect() as connection:
            session = await self._begin(connection)
        await self._read_and_write(await self._reader(session), session)

    async def _read_and_write(self, reader: BatchReader[Item], session: ConsumerSession[Item, Written]) -> None:
        reading = asyncio.create_task(asyncio.to_thread(reader.run))
        writing = asyncio.create_task(self._write_all(reader, session))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((reading, writing, stopping), return_when=asyncio.FIRST_COMPLETED)
            reader.stop(drain=not writing.done())
            await asyncio.wait((reading,))  # ends by itself: after one poll, the drain, the client's socket time-out
        finally:
            reader.stop(drain=False)
            for task in (writing, stopping):
                task.cancel()
        for ended in await asyncio.gather(reading, writing, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def _reader(self, session: ConsumerSession[Item, Written]) -> BatchReader[Item]:
        subscription = self._subscription
        missing = await self._missing_topics()
        group = await asyncio.to_thread(group_config, subscription.bootstrap)
        return BatchReader(
            consumer_config={**consumer_config(subscription), **group},
            topics=[topic for topic in subscription.topics if topic not in missing],
            awaited=missing,
            max_records=subscription.max_records,
            max_wait_seconds=subscription.max_wait_seconds,
            prepare=session.prepare,
            claim=self._claim,
            progress=self._progress,
        )

    async def _missing_topics(self) -> list[str]:
        """Return the topics to wait for, and report them. Raises BrokerError if nothing can be read without them."""
        subscription = self._subscription
        missing = await asyncio.to_thread(missing_topics, subscription.bootstrap, subscription.topics)
        text = (
            f"Kafka at {subscription.bootstrap} has no topic {', '.join(missing)}: is the Outbox that creates it Ready?"
        )
        if missing and (subscription.needs_all_topics or len(missing) == len(subscription.topics)):
            raise BrokerError(text)
        if missing:
            self._report("topics", text)
        else:
            self._progress.clear_problem("topics")
        return missing

    async def _claim(self, partitions: Sequence[Partition]) -> dict[Partition, Claim]:
        async with await self._connect() as connection:
            return await self._offsets.claim(connection, partitions)

    async def _write_all(self, reader: BatchReader[Item], session: ConsumerSession[Item, Written]) -> None:
        async with RetryingConnection(
            self._connect,
            database_url=self._database_url,
            progress=self._progress,
            on_retry=self._on_retry,
            prepare=session.writer.prepare_connection,
        ) as connection:
            writer = RetryingWriter(session.writer, connection, most_records=self._most_records)
            look_at = 0.0
            began = time.monotonic()
            while True:
                batch = await _next(reader.queue)
                if batch is not None:
                    await writer.write(batch, partial(self._written, session))
                    reader.queue.task_done()
                if batch is not None or self._is_good(time.monotonic() - began):
                    self._progress.clear_problem("session")
                if time.monotonic() >= look_at:
                    await connection.run(session.look)
                    if self._progress.is_ahead_of(await connection.run(self._offsets.stored)):
                        raise FencedError(f"{self._progress.name} was rewound: its topics are read again")
                    look_at = time.monotonic() + LOOK_SECONDS

    def _written(
        self, session: ConsumerSession[Item, Written], part: Batch[Item], result: Written, began: float
    ) -> None:
        self._progress.moved(part.moves)
        session.written(part, result, began)

    def _is_good(self, session_seconds: float) -> bool:
        """Whether the last session's problem is over, although no batch came. The first batch might show it again."""
        quiet = self._progress.is_up_to_date and session_seconds >= QUIET_SESSION_SECONDS
        return quiet or session_seconds >= GOOD_SESSION_SECONDS

    def _report(self, thing: str, text: str) -> None:
        if self._progress.report_problem(thing, text):
            _log.warning(text, consumer=self._progress.name)

    def _in_words(self, error: Exception) -> str:
        if isinstance(error, KafkaException):
            return f"Kafka at {self._subscription.bootstrap}: {error.args[0].str()}"
        if isinstance(error, psycopg.Error | OSError):
            return trouble(self._database_url, error)
        return str(error)

    async def _rest(self, seconds: float) -> None:
        """Wait, but not past a stop."""
        waiting = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((waiting,), timeout=seconds)
        waiting.cancel()


async def _next(queue: asyncio.Queue[Batch[Item]]) -> Batch[Item] | None:
    """Return the next batch, or None if none comes for a while."""
    try:
        return await asyncio.wait_for(queue.get(), LOOK_SECONDS)
    except TimeoutError:
        return None
