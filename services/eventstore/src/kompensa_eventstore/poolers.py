"""Reject poolers that give a connection's server process to other clients. Notifications and locks stay with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from kompensa_common.poolers import Pooling, pooling_of, refusal
from kompensa_eventstore.errors import EventStoreError

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]
"""Opens a connection in autocommit, directly to the server or through a pooler in session mode."""


class PoolerError(EventStoreError):
    """The connections go through a pooler in transaction or statement mode."""


class Probe:
    """See `kompensa_common.poolers.Probe`."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    def announced_pid(self) -> int:
        """See `Probe.announced_pid`."""
        return self._connection.pgconn.backend_pid

    async def pid(self) -> int:
        """See `Probe.pid`."""
        async with self._connection.cursor(row_factory=tuple_row) as cursor:
            row = await (await cursor.execute("SELECT pg_backend_pid()")).fetchone()
        return int(row[0]) if row else 0


async def require_own_process(connection: AsyncConnection[Any], connect: Connect) -> None:
    """Return if each connection keeps its server process.

    Raises
    ------
    PoolerError
        Naming the address, and what to do.
    """

    def second() -> AbstractAsyncContextManager[Probe]:
        return _probe(connect)

    if await pooling_of(Probe(connection), second) is Pooling.SHARED:
        info = connection.info
        address = f"{info.host}:{info.port}/{info.dbname}"
        raise PoolerError(refusal(address, because="notifications and the lock of a projection are lost"))


@asynccontextmanager
async def _probe(connect: Connect) -> AsyncIterator[Probe]:
    async with await connect() as connection:
        yield Probe(connection)
