"""Do a service's periodic work: each time in one transaction, again after an error, until the service stops."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog
from psycopg import AsyncConnection

from kompensa_consumer import RetryingConnection
from kompensa_participant.reactions.declaration import Periodic
from kompensa_participant.reactions.failure import is_trouble
from kompensa_participant.reactions.progress import ReactionsProgress

_log = structlog.get_logger(__name__)


async def repeat(periodic: Periodic, connection: RetryingConnection, progress: ReactionsProgress) -> None:
    """Do the work without end. An error is logged and shown, and the work is done again at its next time."""
    name = periodic.work.__name__
    while True:
        error = await connection.run(lambda opened: _once(opened, periodic))
        if error is None:
            progress.clear_problem(name)
        elif progress.report_problem(name, f"{name} fails: {type(error).__name__}: {error}"):
            _log.error("periodic work fails", work=name, exc_info=error)
        await asyncio.sleep(periodic.seconds)


async def _once(connection: AsyncConnection[Any], periodic: Periodic) -> Exception | None:
    try:
        async with connection.transaction():
            await periodic.work(connection)
    except Exception as error:
        if is_trouble(error, connection):
            raise
        return error
    return None
