"""What an engine does now and then: drop what has outlived its retention, look for sagas that do not move, count the
parked ones, and read declarations anew when another engine changed them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from kompensa.engine.declarations import Declarations
from kompensa.engine.metrics import PARKED, PRUNED, STALLED
from kompensa.engine.tenure import Tenure
from kompensa.journal.errors import JournalError
from kompensa.journal.port import Journal

_log = structlog.get_logger(__name__)
_INTERVAL_SECONDS = 10.0
_PRUNE_BATCH = 500
# Later than this, a due time that brought nothing is a fault and not a busy machine.
_STALLED_AFTER_SECONDS = 30.0


class Upkeep:
    """`tenure` gives the tenure of the moment, if there is one."""

    def __init__(self, journal: Journal, declarations: Declarations, *, tenure: Callable[[], Tenure | None]) -> None:
        self._journal = journal
        self._declarations = declarations
        self._tenure = tenure
        self._changed = asyncio.Event()
        self._reported: set[str] = set()

    def reload(self) -> None:
        """Declarations were changed by some engine."""
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time() + _INTERVAL_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(due):
                    await self._changed.wait()
            except TimeoutError:
                await self._attempt(self._look())
                due = loop.time() + _INTERVAL_SECONDS
            self._changed.clear()
            await self._attempt(self._declarations.load())

    async def _attempt(self, work: Awaitable[None]) -> None:
        try:
            await work
        except JournalError as error:
            _log.warning("upkeep was not done, it will be tried again", error=str(error))
        except Exception:
            # Housekeeping goes on, whatever one round of it stumbled over.
            _log.exception("upkeep was not done, it will be tried again")

    async def _look(self) -> None:
        tenure = self._tenure()
        if tenure is None:
            return
        self._report_stalled(tenure)
        PARKED.set(await self._journal.sagas.parked(tenure.held.shards))
        while pruned := await self._journal.sagas.prune(limit=_PRUNE_BATCH):
            PRUNED.inc(pruned)

    def _report_stalled(self, tenure: Tenure) -> None:
        stalled = {running.saga.id: running for running in tenure.stalled(late=_STALLED_AFTER_SECONDS)}
        STALLED.set(len(stalled))
        for saga_id in stalled.keys() - self._reported:
            _log.error("a saga does not move although its time has come", saga=saga_id)
        self._reported = set(stalled)
