"""Reject poolers that give a connection's server process to other clients. Notifications and locks stay with it."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from kompensa_common.connection_probe import Connect, pooling_between
from kompensa_common.poolers import Pooling, refusal
from kompensa_eventstore.errors import EventStoreError


class PoolerError(EventStoreError):
    """The connections go through a pooler in transaction or statement mode."""


async def require_own_process(connection: AsyncConnection[Any], connect: Connect) -> None:
    """Return if each connection keeps its server process.

    Raises
    ------
    PoolerError
        Naming the address, and what to do.
    """
    if await pooling_between(connection, connect) is Pooling.SHARED:
        info = connection.info
        address = f"{info.host}:{info.port}/{info.dbname}"
        raise PoolerError(refusal(address, because="notifications and the lock of a projection are lost"))
