"""LISTEN on a connection of its own: hints that another process changed something.

A notification sent while the connection is down is lost, so after every reconnect each watcher is called once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import asyncpg
import structlog

from kompensa.journal.errors import JournalError
from kompensa.journal.port import Topic
from kompensa.journal.postgres.connections import connect, journal_errors

_log = structlog.get_logger(__name__)
_HEARTBEAT_SECONDS = 5.0
_RECONNECT_SECONDS = 1.0


class Notifications:
    """Calls watchers by topic."""

    def __init__(self, url: str, *, application: str) -> None:
        self._url = url
        self._application = application
        self._watchers: list[tuple[str, Callable[[], None]]] = []
        self._task: asyncio.Task[None] | None = None

    def watch(self, topic: Topic, changed: Callable[[], None]) -> None:
        """Call `changed` for each notification of this topic from now on."""
        self._watchers.append((topic, changed))

    def start(self) -> None:
        """Begin to listen, and keep on until closed."""
        self._task = asyncio.create_task(self._listen(), name="journal-notifications")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _listen(self) -> None:
        while True:
            try:
                await self._until_broken()
            except JournalError as error:
                _log.warning("journal notifications interrupted", error=str(error))
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _until_broken(self) -> None:
        connection = await connect(self._url, application=self._application)
        try:
            with journal_errors():
                await connection.add_listener("kompensa", self._notified)
                for _, changed in self._watchers:
                    changed()
                while True:
                    await asyncio.sleep(_HEARTBEAT_SECONDS)
                    await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    def _notified(self, _connection: asyncpg.Connection, _pid: int, _channel: str, payload: str) -> None:
        for topic, changed in self._watchers:
            if topic == payload:
                changed()
