"""Reject poolers that capture cannot work behind.

Debezium reads the WAL on a replication connection, which most poolers do not pass on. And the operator's time-outs are
session settings, which other clients of a shared pooler would get.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg

from kompensa_cdc.capture.errors import PostgresError
from kompensa_cdc.capture.outbox import Database
from kompensa_common.connection_probe import ConnectionProbe, pooling_between
from kompensa_common.poolers import Pooling, refusal

Connection = psycopg.AsyncConnection[dict[str, Any]]
Open = Callable[..., Awaitable[psycopg.AsyncConnection[Any]]]


async def require_own_process(connection: Connection, database: Database, open_another: Open) -> None:
    """Return unless a pooler gives the server process of a connection to other clients.

    Raises
    ------
    PostgresError
        Naming the address, and what to do.
    """
    if await pooling_between(connection, open_another) is Pooling.SHARED:
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
    probe = ConnectionProbe(connection)
    if await probe.pid() == probe.announced_pid():
        return
    try:
        await (await open_another(replication="database")).close()
    except psycopg.Error as error:
        raise PostgresError(
            f"{capture.address} is a pooler that does not pass on Debezium's replication connection "
            f"({str(error).strip().splitlines()[-1]}): put the server's own host and port into the Secret"
        ) from None
