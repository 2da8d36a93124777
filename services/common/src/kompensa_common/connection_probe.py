"""Find a pooler behind connections of psycopg; see `poolers` for how."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from kompensa_common.poolers import Pooling, pooling_of

Connect = Callable[[], Awaitable[AsyncConnection[Any]]]
"""Opens a connection in autocommit."""


class ConnectionProbe:
    """A connection in autocommit as a `poolers.Probe`, whatever rows it returns."""

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


async def pooling_between(connection: AsyncConnection[Any], connect: Connect) -> Pooling:
    """Find the pooler between a connection and the server.

    Parameters
    ----------
    connect
        Opens a second connection to the same address. It is called behind a pooler only.
    """

    @asynccontextmanager
    async def second() -> AsyncIterator[ConnectionProbe]:
        async with await connect() as opened:
            yield ConnectionProbe(opened)

    return await pooling_of(ConnectionProbe(connection), second)
