"""Reject poolers that capture cannot work behind.

Debezium reads the WAL on a replication connection, which most poolers do not pass on. And the operator's time-outs are
session settings, which other clients of a shared pooler would get.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg

from kompensa_cdc.capture.errors import PostgresError
from kompensa_cdc.capture.outbox import Database
from kompensa_common.poolers import Pooling, pooling_of, refusal

Connection = psycopg.AsyncConnection[dict[str, Any]]
Open = Callable[..., Awaitable[psycopg.AsyncConnection[Any]]]


class Probe:
    """See `kompensa_common.poolers.Probe`."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    def announced_pid(self) -> int:
        """See `Probe.announced_pid`."""
        return self._connection.pgconn.backend_pid

    async def pid(self) -> int:
        """See `Probe.pid`."""
        row = await (await self._connection.execute("SELECT pg_backend_pid() AS pid")).fetchone()
        return int(row["pid"]) if row else 0


async def require_own_process(connection: Connection, database: Database, open_another: Open) -> None:
    """Return unless a pooler gives the server process of a connection to other clients.

    Raises
    ------
    PostgresError
        Naming the address, and what to do.
    """

    def second() -> AbstractAsyncContextManager[Probe]:
        return _probe(open_another)

    if await pooling_of(Probe(connection), second) is Pooling.SHARED:
        raise PostgresError(
            refusal(database.address, because="replication and session settings are not possible")
            + ": put the server's own host and port into the Secret"
        )


async def require_replication(connection: Connection, capture: Database, open_another: Open) -> None:
    """Behind a pooler, try the kind of connection that Debezium will open.

    Raises
    ------
    PostgresError
        With the pooler's answer.
    """
    probe = Probe(connection)
    if await probe.pid() == probe.announced_pid():
        return
    try:
        await (await open_another(replication="database")).close()
    except psycopg.Error as error:
        raise PostgresError(
            f"{capture.address} is a pooler that does not pass on Debezium's replication connection "
            f"({str(error).strip().splitlines()[-1]}): put the server's own host and port into the Secret"
        ) from None


@asynccontextmanager
async def _probe(open_another: Open) -> AsyncIterator[Probe]:
    connection = await open_another()
    async with connection:
        yield Probe(connection)
