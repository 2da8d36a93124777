"""The tasks of one lease: they end with it, and a fault in one of them ends none of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from kompensa.journal.errors import StaleLeaseError

_log = structlog.get_logger(__name__)


class LeaseTasks:
    """Starts tasks and keeps them until they end. `lost` is set if one of them finds that the lease is gone."""

    def __init__(self, lost: asyncio.Event) -> None:
        self._lost = lost
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cancel all of them."""
        for task in self._tasks:
            task.cancel()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StaleLeaseError:
            self._lost.set()
        except Exception:
            _log.exception("a fault in the engine; the saga concerned stalls until it is recovered")
