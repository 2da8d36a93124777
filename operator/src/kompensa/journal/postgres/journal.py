"""The journal in PostgreSQL, put together from its parts."""

from __future__ import annotations

from collections.abc import Callable

from kompensa.journal.port import Topic
from kompensa.journal.postgres.catalogue import PostgresCatalogue
from kompensa.journal.postgres.connections import MIGRATION_TIMEOUT_SECONDS, ConnectionPool, connect, journal_errors
from kompensa.journal.postgres.leases import PostgresLeases
from kompensa.journal.postgres.migrate import migrate
from kompensa.journal.postgres.notifications import Notifications
from kompensa.journal.postgres.pooler import require_own_session
from kompensa.journal.postgres.sagas import PostgresSagas
from kompensa.journal.postgres.signals import PostgresSignals

_READERS = 4


class PostgresJournal:
    """See `Journal`. Takes up to seven connections: commits, leases, notifications, and a few for reads."""

    def __init__(self, url: str, *, application: str = "kompensa-engine") -> None:
        self._url = url
        self._application = application
        self._commits = ConnectionPool(url, application=application)
        self._lease = ConnectionPool(url, application=application)
        self._reads = ConnectionPool(url, application=application, size=_READERS)
        self._notifications = Notifications(url, application=application)
        self.leases = PostgresLeases(self._lease)
        self.sagas = PostgresSagas(commits=self._commits, reads=self._reads)
        self.signals = PostgresSignals(self._reads)
        self.catalogue = PostgresCatalogue(self._reads)

    async def open(self) -> None:
        """See `Journal.open`."""
        await self.migrate()
        self._notifications.start()

    async def migrate(self) -> list[str]:
        """Bring the schema to this version; return the migrations applied now.

        Raises
        ------
        PoolerError
            The URL leads to a pooler in transaction or statement mode.
        """
        await require_own_session(self._url, application=self._application)
        connection = await connect(
            self._url, application=self._application, statement_timeout=MIGRATION_TIMEOUT_SECONDS
        )
        try:
            with journal_errors():
                return await migrate(connection)
        finally:
            connection.terminate()

    async def close(self) -> None:
        """See `Journal.close`."""
        await self._notifications.close()
        for pool in (self._commits, self._lease, self._reads):
            await pool.close()

    def watch(self, topic: Topic, changed: Callable[[], None]) -> None:
        """See `Journal.watch`."""
        self._notifications.watch(topic, changed)
