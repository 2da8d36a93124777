"""Connections to PostgreSQL, which are replaced when they break, and errors in the journal's terms.

The commit path and the lease have a pool of one connection each, which no other statement can occupy. Reads share a
few.
Every statement has a time-out, because a connection through a dead node answers nothing for minutes; one of a
migration, which may rewrite every saga there is, has a long one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any

import asyncpg

from kompensa.journal.errors import JournalUnavailableError, RejectedError
from kompensa.journal.postgres.parameters import Arguments, arguments
from kompensa_common.libpq import address_of

STATEMENT_TIMEOUT_SECONDS = 10.0
MIGRATION_TIMEOUT_SECONDS = 3600.0
SETTINGS = {
    "search_path": "kompensa",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    # One plan for all: the arrays differ in length only, and planning costs as much as running.
    "plan_cache_mode": "force_generic_plan",
    # That plan may be made while the tables are empty, when reading all of them looks cheapest; minutes
    # and many thousand sagas can pass until statistics say otherwise.
    "enable_seqscan": "off",
    "jit": "off",
}
_SETTLE = "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS setting (name, value)"

# A value, a constraint, or a limit of size: these are about the write itself, which would be rejected each time. All
# other errors (no connection, no room, a changed password, a withdrawn right) pass once their cause is fixed.
_OF_THE_WRITE_ITSELF = frozenset({"22", "23", "54"})
# Then the next host of a URL may do. Like libpq, a rejected login is not tried elsewhere.
_OF_ONE_HOST = (TimeoutError, OSError, asyncpg.CannotConnectNowError, asyncpg.TargetServerAttributeNotMatched)


@contextmanager
def journal_errors(server: str = "PostgreSQL") -> Iterator[None]:
    """Translate the errors of asyncpg and the network; their messages begin with `server`."""
    try:
        yield
    except asyncpg.PostgresError as error:
        state = error.sqlstate or ""
        if state[:2] in _OF_THE_WRITE_ITSELF:
            raise RejectedError(f"{server} rejects the statement ({state}): {error}") from error
        raise JournalUnavailableError(f"{server}: {error}") from error
    except (TimeoutError, OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # asyncpg raises the last one if the server closed the connection between two statements.
        raise JournalUnavailableError(f"{server} cannot be reached: {str(error) or type(error).__name__}") from error


async def connect(url: str, *, application: str, statement_timeout: float | None = None) -> asyncpg.Connection:
    """Open a connection whose statements (STATEMENT_TIMEOUT_SECONDS by default) and lock waits are bounded."""
    given = arguments(url, application=application)
    connection = await _open(given, address_of(url), statement_timeout or STATEMENT_TIMEOUT_SECONDS)
    try:
        with journal_errors(f"PostgreSQL at {address_of(url)}"):
            await _settle(connection, given.settings)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def open_without_settings(url: str, *, application: str) -> asyncpg.Connection:
    """Open a connection that has the server's own settings, and those of the URL."""
    return await _open(arguments(url, application=application), address_of(url), STATEMENT_TIMEOUT_SECONDS)


async def _open(given: Arguments, address: str, statement_timeout: float) -> asyncpg.Connection:
    connect_to = partial(
        asyncpg.connect,
        timeout=given.timeout,
        command_timeout=statement_timeout,
        server_settings=dict(given.startup),
        ssl=given.tls,
    )
    with journal_errors(f"PostgreSQL at {address}"):
        for dsn in given.dsns[:-1]:
            with suppress(*_OF_ONE_HOST):
                return await connect_to(dsn)
        return await connect_to(given.dsns[-1])


async def _settle(connection: asyncpg.Connection, of_url: Mapping[str, str]) -> None:
    """By a statement, because poolers reject most settings in the message that opens a connection."""
    settings = {**SETTINGS, **of_url}
    await connection.execute(_SETTLE, list(settings), list(settings.values()))


def numbered(statement: str) -> str:
    """Number the `?` of a statement: $1, $2 and so on."""
    pieces = statement.split("?")
    return "".join(f"{piece}${number}" for number, piece in enumerate(pieces[:-1], 1)) + pieces[-1]


class ConnectionPool:
    """Lends up to `size` connections, each to one user at a time, and replaces those that failed."""

    def __init__(self, url: str, *, application: str, size: int = 1) -> None:
        self._url = url
        self._application = application
        self._idle: list[asyncpg.Connection] = []
        self._turns = asyncio.Semaphore(size)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """Lend a connection. It is dropped after any error except a rejected statement."""
        await self._take_turn()
        try:
            connection = await self._connected()
            try:
                with journal_errors():
                    yield connection
            except RejectedError:
                self._idle.append(connection)
                raise
            except BaseException:
                # Even if cancelled: a statement may still run on it, and the next one would get its answer.
                connection.terminate()
                raise
            else:
                self._idle.append(connection)
        finally:
            self._turns.release()

    async def _take_turn(self) -> None:
        if not self._turns.locked():
            await self._turns.acquire()  # at once: a time-out would cost more than the turn
            return
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_SECONDS):
                await self._turns.acquire()
        except TimeoutError as error:
            raise JournalUnavailableError("every connection to the journal is occupied by a slow statement") from error

    async def _connected(self) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await connect(self._url, application=self._application)

    async def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            connection = self._idle.pop()
            try:
                await connection.close(timeout=2)
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()
