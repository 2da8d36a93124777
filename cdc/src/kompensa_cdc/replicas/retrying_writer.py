"""Write batches until they are written: over one connection, which is opened again after each failure.

While the database is in trouble, a batch is retried with growing pauses, and the status shows the trouble.

If the reply to a commit is lost, the next attempt raises FencedError, because the offsets have moved. The session then
ends, and the next one reads on from the offsets that the database holds.

A batch that the database cannot write in time is written in parts, each committed separately. Retried as a whole, it
would time out forever.
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
    """A transaction with this number of records takes too long."""


class RetryingWriter:
    """A BatchWriter with a connection of its own, which retries. Use it as an async context manager, in one task."""

    def __init__(self, writer: BatchWriter, *, database_url: str, progress: Progress, metrics: Metrics) -> None:
        self._writer = writer
        self._database_url = database_url
        self._progress = progress
        self._metrics = metrics
        self._connection: AsyncConnection | None = None
        self._max_records = sys.maxsize  # in one transaction: halved by a time-out, raised by each transaction in time

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def write(self, batch: Batch) -> Applied:
        """Write a batch, however long that takes; in parts, if as a whole it takes too long.

        Raises
        ------
        FencedError
            If another worker has taken over a partition of the batch.
        TargetError
            If an event would be parked, and the table has changed since the session began.
        psycopg.Error
            If the table is to blame: for example, if a column is missing, or if it rejects every event.
        """
        applied = Applied(records=0, written=0, parked=(), superseded=())
        rest: Batch | None = batch
        while rest is not None:
            part, later = rest.cut(self._max_records)
            try:
                applied += await self._write_part(part)
            except _TimedOutError:
                self._max_records = len(part.items) // 2
            else:
                self._max_records += max(1, self._max_records // 10)
                rest = later
        return applied

    async def count_parked(self) -> int:
        """Count the parked keys. When no events come, this is also how trouble with the database is noticed."""
        return await self._with_retries(lambda connection: count_parked_keys(connection, self._writer.books))

    async def offsets(self) -> dict[Partition, int]:
        """Return the next offsets that the database holds. When no events come, this is how a rewind is noticed."""
        return await self._with_retries(self._writer.books.offsets)

    async def _write_part(self, part: Batch) -> Applied:
        return await self._with_retries(
            lambda connection: self._writer.write(connection, part), records=len(part.items)
        )

    async def _with_retries(self, work: Callable[[AsyncConnection], Awaitable[Result]], *, records: int = 0) -> Result:
        """Try until the work is done.

        Parameters
        ----------
        records
            The number of records that the work writes. If there are several, a time-out is raised instead of retried.
        """
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(APPLY_TIMEOUT_SECONDS):
                    result = await work(await self._open())
            except (psycopg.Error, OSError) as error:  # OSError covers TimeoutError
                if isinstance(error, psycopg.Error) and fault_of(error) is not Fault.DATABASE:
                    raise  # a wrong table or a missing right: the next session reports it
                attempt += 1
                self._report(error, records)
                await self._close()
                if records > 1 and isinstance(error, TIME_OUTS):
                    raise _TimedOutError from error
                await asyncio.sleep(RETRY.pause(attempt))
            else:
                self._progress.clear_problem("database")
                return result

    def _report(self, error: psycopg.Error | OSError, records: int) -> None:
        self._metrics.retries.inc()
        text = self._in_words(error, records)
        if self._progress.report_problem("database", text):
            _log.warning(text, replica=self._progress.replica)

    def _in_words(self, error: psycopg.Error | OSError, records: int) -> str:
        if isinstance(error, TimeoutError):  # which has no text
            error = TimeoutError(f"a transaction was not done within {APPLY_TIMEOUT_SECONDS:g} s")
        text = trouble(self._database_url, error)
        if records < 2 or not isinstance(error, TIME_OUTS):
            return text
        return (
            f"{text}; its {records} records are now written in smaller parts: lower batch.maxRecords, or find the "
            "cause, such as a slow trigger, an index or the network"
        )

    async def _open(self) -> AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await connect(self._database_url)
            await self._writer.rows.prepare_connection(self._connection)
        return self._connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
