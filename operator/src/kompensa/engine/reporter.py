"""Shows object-born sagas on their objects, and remembers in the journal that the end was shown.

A saga that rests stays unsettled, and in memory, until the publisher has written its view: after a crash the new owner
publishes it again. Views in between are handed over and forgotten; the publisher coalesces them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

from kompensa.engine.metrics import REPORTING
from kompensa.engine.running_saga import InboxItem, RunningSaga, StatusWritten, resting
from kompensa.engine.status_publisher import StatusPublisher

_log = structlog.get_logger(__name__)
_RETRY_SECONDS = 5.0


class Reporter:
    """`permitted` returns while the lease surely holds, and raises once it is lost.

    `spawn` starts a task that ends with the lease; `tell` hands a item to a saga.
    """

    def __init__(
        self,
        publisher: StatusPublisher,
        *,
        permitted: Callable[[], Awaitable[None]],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        tell: Callable[[RunningSaga, InboxItem], Awaitable[None]],
    ) -> None:
        self._publisher = publisher
        self._permitted = permitted
        self._spawn = spawn
        self._tell = tell

    def show(self, running: RunningSaga) -> None:
        """Show the newest state of a saga that was started from an object."""
        self._spawn(self._show_end(running) if resting(running.shown) else self._show_progress(running))

    async def _show_progress(self, running: RunningSaga) -> None:
        try:
            await self._publisher.publish(running.view(), running.generation, permitted=self._permitted)
        except Exception as error:
            _log.warning("a saga's progress was not shown", saga=running.saga.id, error=str(error))

    async def _show_end(self, running: RunningSaga) -> None:
        state = running.shown
        with REPORTING.track_inprogress():
            while running.shown is state:
                try:
                    await self._publisher.publish(running.view(), running.generation, permitted=self._permitted)
                except Exception as error:
                    _log.warning("a saga's end was not shown", saga=running.saga.id, error=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    break
        await self._tell(running, InboxItem(StatusWritten(state)))
