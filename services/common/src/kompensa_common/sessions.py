"""psycopg connections whose server settings hold directly, and behind a pooler in session or transaction mode.

Settings are sent by a statement, because poolers reject or drop most of those in the message that opens a connection.
In transaction mode they are sent at the start of each transaction, and end with it: other clients get the same server
process, and must not get our settings with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, AsyncCursor, AsyncTransaction, OperationalError, errors
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from kompensa_common.connection_probe import pooling_between
from kompensa_common.libpq import address_of, is_clear, own_settings, parameters, settings_in
from kompensa_common.poolers import Pooling, statement_mode

SETTLE = "SELECT set_config(name, value, %s) FROM unnest(%s::text[], %s::text[]) AS setting (name, value)"
"""Takes `settle_arguments`."""


class PoolerError(OperationalError):
    """The URL leads to a pooler that has no transactions."""


class Session(AsyncConnection[TupleRow]):
    """A connection that may have to send its settings in each transaction."""

    in_each_transaction: Mapping[str, str] = {}
    """Settings for transactions; empty unless a pooler gives the server process to other clients in between."""

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        """See `AsyncConnection.transaction`."""
        outermost = self._is_idle()
        async with super().transaction(savepoint_name, force_rollback) as transaction:
            if outermost and self.in_each_transaction:
                await self._set(self.in_each_transaction, in_transaction=True)
            yield transaction

    async def execute(self, query: Any, params: Any = None, **options: Any) -> AsyncCursor[TupleRow]:
        """See `AsyncConnection.execute`. In autocommit, a statement may need a transaction for its settings."""
        if not (query and self.in_each_transaction and self.autocommit and self._is_idle()):
            return await super().execute(query, params, **options)
        async with self.transaction():
            return await super().execute(query, params, **options)

    async def settle(self, settings: Mapping[str, str]) -> None:
        """Send settings for as long as the connection lives. It must be in autocommit."""
        await self._set(settings, in_transaction=False)

    async def _set(self, settings: Mapping[str, str], *, in_transaction: bool) -> None:
        await super().execute(SETTLE, settle_arguments(settings, in_transaction=in_transaction))

    def _is_idle(self) -> bool:
        return self.info.transaction_status == TransactionStatus.IDLE


class Sessions:
    """Opens the connections of one URL.

    Parameters
    ----------
    settings
        Our server settings. Those of the URL's `options` replace ours of the same name.
    arguments
        Our parameters of libpq, for example `connect_timeout`. Those of the URL replace them, too.
    """

    def __init__(self, url: str, *, settings: Mapping[str, str], arguments: Mapping[str, Any]) -> None:
        self.url = url
        clear = is_clear(url)  # if it is not, libpq says so
        given = parameters(url) if clear else {}
        self.arguments = {name: value for name, value in arguments.items() if name not in given}
        self._ours = own_settings(url, settings) if clear else dict(settings)
        self._of_url = settings_in(given.get("options", ""))
        self._pooling: Pooling | None = None

    async def connect(self) -> Session:
        """Open a connection in autocommit.

        Raises
        ------
        PoolerError
            If a pooler in statement mode answers.
        """
        session = await self._open()
        try:
            await self.settle(session)
        except BaseException:
            await session.close()
            raise
        return session

    async def settle(self, session: AsyncConnection[Any]) -> None:
        """Settle a connection that was opened with `arguments`. The way it commits stays as it is."""
        if not isinstance(session, Session):
            raise TypeError("the pool must make connections of the class Session")
        autocommit = session.autocommit
        await session.set_autocommit(True)
        if self._pooling is None:
            self._pooling = await self._found(session)
        if self._pooling is Pooling.NONE:
            await session.settle(self._ours)
        elif self._pooling is Pooling.SESSION:
            await session.settle({**self._ours, **self._of_url})
        else:
            session.prepare_threshold = None  # a prepared statement stays with its server process
            session.in_each_transaction = {**self._ours, **self._of_url}
        await session.set_autocommit(autocommit)

    async def _open(self) -> Session:
        return await Session.connect(self.url, autocommit=True, **self.arguments)

    async def _found(self, session: Session) -> Pooling:
        pooling = await pooling_between(session, self._open)
        if pooling is Pooling.SHARED:
            try:
                async with session.transaction():
                    pass
            except errors.ProtocolViolation:
                raise PoolerError(statement_mode(address_of(self.url))) from None
        return pooling


def settle_arguments(settings: Mapping[str, str], *, in_transaction: bool) -> tuple[bool, list[str], list[str]]:
    """Return the parameters of SETTLE: settings for the transaction, or for as long as the connection lives."""
    return in_transaction, list(settings), list(settings.values())


def keeps_its_process(connection: AsyncConnection[Any]) -> bool:
    """Return whether the server process, with its temporary tables, stays with the connection."""
    return not (isinstance(connection, Session) and connection.in_each_transaction)
