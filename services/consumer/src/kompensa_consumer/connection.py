"""A connection that is opened again after each failure, and work that is retried until it is done.

While the database is in trouble, the work is retried with growing pauses, and the status shows the trouble.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import psycopg
import structlog
from psycopg import AsyncConnection

from kompensa_common.backoff import Backoff
from kompensa_consumer.database import trouble
from kompensa_consumer.faults import Fault, fault_of
from kompensa_consumer.progress import Progress

APPLY_TIMEOUT_SECONDS = 120.0
RETRY = Backoff(first=0.1, longest=10.0)
TIME_OUTS = (TimeoutError, psycopg.errors.QueryCanceled)

_log = structlog.get_logger(__name__)
Result = TypeVar("Result")
Connect = Callable[[], Awaitable[AsyncConnection]]


class TimedOutError(Exception):
    """A transaction with this number of records takes too long."""


async def _as_it_is(_: AsyncConnection) -> None:
    """Nothing to prepare."""


class RetryingConnection:
    """One connection to the consumer's database. Use it as an async context manager, in one task.

    Parameters
    ----------
    connect
        Opens connections in autocommit.
    database_url
        For messages.
    progress
        Shows the trouble while there is some.
    on_retry
        Called before each retry, to count it.
    prepare
        Prepares each new connection.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        database_url: str,
        progress: Progress,
        on_retry: Callable[[], None] = lambda: None,
        prepare: Callable[[AsyncConnection], Awaitable[None]] = _as_it_is,
    ) -> None:
        self._connect = connect
        self._database_url = database_url
        self._progress = progress
        self._on_retry = on_retry
        self._prepare = prepare
        self._connection: AsyncConnection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[Result]], *, records: int = 0) -> Result:
        """Try until the work is done.

        Parameters
        ----------
        records
            The number of records that the work writes. If there are several, a time-out is raised instead of retried.

        Raises
        ------
        TimedOutError
            If the work takes too long, and might be done in parts.
        psycopg.Error
            If the tables are to blame: for example, if a column is missing.
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
                    raise TimedOutError from error
                await asyncio.sleep(RETRY.pause(attempt))
            else:
                self._progress.clear_problem("database")
                return result

    def _report(self, error: psycopg.Error | OSError, records: int) -> None:
        self._on_retry()
        text = self._in_words(error, records)
        if self._progress.report_problem("database", text):
            _log.warning(text, consumer=self._progress.name)

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
            self._connection = await self._connect()
            await self._prepare(self._connection)
        return self._connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
