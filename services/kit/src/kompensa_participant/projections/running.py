"""Runs a service's projections next to its requests, on connections of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
from psycopg import AsyncConnection

from kompensa_eventstore import Feed
from kompensa_eventstore.projections import Projection, ProjectionRunner, Status, status
from kompensa_participant.projections.declaration import Projected

log = structlog.get_logger()

RESTART_SECONDS = 5.0
CANCEL_AGAIN_SECONDS = 0.2


class RunningProjections:
    """The runners of a service.

    Attributes
    ----------
    troubles
        By projection, why its runner cannot work at all, for example behind a pooler in transaction mode.
    """

    def __init__(
        self, projections: Sequence[Projected], connect: Callable[[], Awaitable[AsyncConnection[Any]]], *, schema: str
    ) -> None:
        self._projections = projections
        self._connect = connect
        self._schema = schema
        self.troubles: dict[str, str] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the runners, and end them on leaving."""
        tasks = [asyncio.create_task(self._run(*projected)) for projected in self._projections]
        try:
            yield
        finally:
            await asyncio.gather(*(_end(task) for task in tasks))

    async def statuses(self, connection: AsyncConnection[Any]) -> Sequence[Status]:
        """The state of each projection."""
        return [
            await status(connection, projection, feed, schema=self._schema) for projection, feed in self._projections
        ]

    async def _run(self, projection: Projection, feed: Feed) -> None:
        """Run without end. If the runner cannot work, try again after a pause."""
        runner = ProjectionRunner(projection, feed, self._connect, schema=self._schema)
        while True:
            try:
                await runner.run()
            except Exception as error:
                self.troubles[projection.name] = f"{type(error).__name__}: {error}"
                log.warning("a projection does not run", projection=projection.name, reason=str(error))
            await asyncio.sleep(RESTART_SECONDS)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel until it ends. `asyncio.wait_for` of Python 3.11 loses a cancellation that comes with its result."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN_SECONDS)
