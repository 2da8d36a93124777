"""Publishes the views of sagas that were started from a Saga object.

A saga that rests stays unsettled, and in memory, until its status is written: after a crash its new owner publishes it
again. Views in between are handed over and forgotten; the publisher coalesces them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from kompensa.engine.held_lease import HeldLease
from kompensa.engine.metrics import REPORTING
from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.status_publisher import StatusPublisher
from kompensa.model.saga import Saga

_log = structlog.get_logger(__name__)
_RETRY_SECONDS = 5.0


class Reporter:
    """Publishes while the lease surely holds."""

    def __init__(self, publisher: StatusPublisher, held: HeldLease) -> None:
        self._publisher = publisher
        self._held = held

    async def report_progress(self, running: RunningSaga) -> None:
        """Publish a state in between. If that fails, the next one says more."""
        try:
            await self._publish(running)
        except Exception as error:
            _log.warning("a saga's progress was not written to its status", saga=running.saga.id, error=str(error))

    async def report_end(self, running: RunningSaga) -> Saga:
        """Publish a state of rest until it is written or a newer one may be shown; return the state."""
        state = running.shown
        with REPORTING.track_inprogress():
            while running.shown is state:
                try:
                    await self._publish(running)
                except Exception as error:
                    _log.warning("a saga's end was not written to its status", saga=running.saga.id, error=str(error))
                    await asyncio.sleep(_RETRY_SECONDS)
                else:
                    break
        return state

    def forget(self, sagas: Iterable[str]) -> None:
        """Publish nothing more of these: another engine does from now on."""
        self._publisher.forget(sagas)

    async def _publish(self, running: RunningSaga) -> None:
        await self._publisher.publish(running.view(), running.generation, permitted=self._held.permitted)
