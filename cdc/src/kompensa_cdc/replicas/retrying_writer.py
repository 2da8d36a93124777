"""The worker's one connection to the target, and its patience: work is tried again for as long as the database is in
trouble, and the trouble is told meanwhile.

A commit whose reply was lost shows as FencedError on the next try: the offsets have moved. The session then ends, and
the next one reads on from where the database really is.

A batch that the database cannot write in time is written in parts, each committed by itself: tried as a whole for ever,
it would never end.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import psycopg
import structlog
from psycopg import AsyncConnection

from kompensa_cdc.replicas.batch import Applied, Batch
from kompensa_cdc.replicas.batch_writer import BatchWriter
from kompensa_cdc.replicas.bookkeeping import Partition
from kompensa_cdc.replicas.faults import Fault, fault_of
from kompensa_cdc.replicas.metrics import Metrics
from kompensa_cdc.replicas.parking import count_parked_keys
from kompensa_cdc.replicas.progress import Progress
from kompensa_cdc.replicas.target import connect, trouble
from kompensa_common.backoff import Backoff

APPLY_TIMEOUT_SECONDS = 120.0
RETRY = Backoff(first=0.1, longest=10.0)
TIME_OUTS = (TimeoutError, psycopg.errors.QueryCanceled)

_log = structlog.get_logger(__name__)
Result = TypeVar("Result")


class _TimedOutError(Exception):
    """So many records at once take too long."""


class RetryingWriter:
    """Used as an async context manager, by one task."""

    def __init__(self, writer: BatchWriter, *, database_url: str, progress: Progress, metrics: Metrics) -> None:
        self._writer = writer
        self._database_url = database_url
        self._progress = progress
        self._metrics = metrics
        self._connection: AsyncConnection | None = None
        self._at_once = sys.maxsize  # records in one transaction: halved by a time-out, raised by each that was quick

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def write(self, batch: Batch) -> Applied:
        """Apply a batch, however long that takes; in parts, if as a whole it takes too long.

        Raises
        ------
        FencedError
            If a partition is no longer ours.
        psycopg.Error
            If the table is not as it was when the session began, or takes nothing at all.
        """
        applied = Applied(records=0, written=0, parked=(), superseded=())
        rest: Batch | None = batch
        while rest is not None:
            part, later = rest.cut(self._at_once)
            try:
                applied += await self._write_part(part)
            except _TimedOutError:
                self._at_once = len(part.items) // 2
            else:
                self._at_once += max(1, self._at_once // 10)
                rest = later
        return applied

    async def count_parked(self) -> int:
        """Count the parked keys; in idle times this is also how trouble with the database is noticed."""
        return await self._with_retries(lambda connection: count_parked_keys(connection, self._writer.books))

    async def offsets(self) -> dict[Partition, int]:
        """What the database holds as next offsets; in idle times this is how a rewind is noticed."""
        return await self._with_retries(self._writer.books.offsets)

    async def _write_part(self, part: Batch) -> Applied:
        return await self._with_retries(
            lambda connection: self._writer.write(connection, part), records=len(part.items)
        )

    async def _with_retries(self, work: Callable[[AsyncConnection], Awaitable[Result]], *, records: int = 0) -> Result:
        """Try until it is done. `records`: how many it writes; where these can be fewer, a time-out is raised."""
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(APPLY_TIMEOUT_SECONDS):
                    result = await work(await self._open())
            except (psycopg.Error, OSError) as error:  # OSError covers TimeoutError
                if isinstance(error, psycopg.Error) and fault_of(error) is not Fault.DATABASE:
                    raise  # a wrong table or a missing right: for the next session to tell
                attempt += 1
                self._metrics.retries.inc()
                text = self._in_words(error, records)
                if self._progress.report_problem("database", text):
                    _log.warning(text, replica=self._progress.replica)
                await self._close()
                if records > 1 and isinstance(error, TIME_OUTS):
                    raise _TimedOutError from error
                await asyncio.sleep(RETRY.pause(attempt))
            else:
                self._progress.clear_problem("database")
                return result

    def _in_words(self, error: psycopg.Error | OSError, records: int) -> str:
        if isinstance(error, TimeoutError):  # which has no text
            error = TimeoutError(f"a transaction was not done within {APPLY_TIMEOUT_SECONDS:g} s")
        text = trouble(self._database_url, error)
        if records < 2 or not isinstance(error, TIME_OUTS):
            return text
        return (
            f"{text}; its {records} records are now written in smaller parts: lower batch.maxRecords, or look for what "
            "is slow, such as a trigger, an index or the way to the database"
        )

    async def _open(self) -> AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._database_url)
            await self._writer.prepare_connection(self._connection)
        return self._connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
