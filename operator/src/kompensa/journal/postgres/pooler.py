"""The journal behind a pooler: session mode serves as the server itself does, other modes are rejected.

In transaction mode, notifications reach a connection that no longer listens, so that cancellations and moved shards
would wait for the next renewal; and our planner settings would change the plans of other clients.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO

import asyncpg

from kompensa.journal.errors import JournalError, JournalUnavailableError
from kompensa.journal.postgres.connections import journal_errors, open_without_settings
from kompensa_common.libpq import address_of
from kompensa_common.poolers import Pooling, pooling_of, refusal

_BECAUSE = "the journal's notifications and session settings are lost"
_CONNECTIONS = 7


class PoolerError(JournalError):
    """The URL leads to a pooler that gives our server process to other clients between two statements."""


async def require_own_session(url: str, *, application: str) -> None:
    """Return if each connection has a server process of its own: directly, or by a pooler in session mode.

    Raises
    ------
    PoolerError
        Naming the URL's address, what was seen and what to do.
    """
    first = await open_without_settings(url, application=application)
    try:
        with journal_errors(f"PostgreSQL at {address_of(url)}"):
            pooling = await pooling_of(_Probe(first), lambda: _second(url, application=application))
    finally:
        first.terminate()
    if pooling is Pooling.SHARED:
        raise PoolerError(refusal(address_of(url), because=_BECAUSE))


@asynccontextmanager
async def _second(url: str, *, application: str) -> AsyncIterator[_Probe]:
    connection = await open_without_settings(url, application=application)
    try:
        yield _Probe(connection)
    except TimeoutError as error:
        raise JournalUnavailableError(
            f"the pooler {address_of(url)} gives a second connection no server process: the journal needs "
            f"{_CONNECTIONS}, so raise the pool's size (default_pool_size of PgBouncer), or give the direct URL"
        ) from error
    finally:
        connection.terminate()


class _Probe:
    """See `kompensa_common.poolers.Probe`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    def announced_pid(self) -> int:
        """See `Probe.announced_pid`."""
        return int(self._connection.get_server_pid())

    async def pid(self) -> int:
        """By COPY, which is one message: a prepared statement could be made by one process and run by another."""
        found = BytesIO()
        await self._connection.copy_from_query("SELECT pg_backend_pid()", output=found)
        return int(found.getvalue())
