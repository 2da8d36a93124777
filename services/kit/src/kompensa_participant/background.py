"""Work that a service does next to answering requests, for as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog
from psycopg_pool import AsyncConnectionPool

from kompensa_common.sessions import Session

log = structlog.get_logger()

Pool = AsyncConnectionPool[Session]
Background = Callable[[Pool], Awaitable[None]]
"""Work without end, on connections of the service's pool. Each replica of the service runs it."""
RESTART_SECONDS = 5.0
CANCEL_AGAIN_SECONDS = 0.2


@asynccontextmanager
async def running(works: Sequence[Background], pool: Pool) -> AsyncIterator[None]:
    """Start the works, and end them on leaving."""
    tasks = [asyncio.create_task(_again_and_again(work, pool)) for work in works]
    try:
        yield
    finally:
        await asyncio.gather(*(_end(task) for task in tasks))


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel until it ends. `asyncio.wait_for` of Python 3.11 loses a cancellation that comes with its result."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN_SECONDS)


async def _again_and_again(work: Background, pool: Pool) -> None:
    """Work that fails, for example because the database is down, begins again after a pause."""
    while True:
        try:
            await work(pool)
        except Exception as error:
            log.warning("background work failed; it begins again", error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(RESTART_SECONDS)
