"""An engine's housekeeping.

It deletes sagas that have outlived their retention, looks for sagas that do not move, counts the parked ones, and reads
the declarations again when another engine has changed them.
"""

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
# If a due time brought nothing for this long, that is a fault and not a busy machine.
_STALLED_AFTER_SECONDS = 30.0


class Upkeep:
    """`tenure` returns the present tenure, or None."""

    def __init__(self, journal: Journal, declarations: Declarations, *, tenure: Callable[[], Tenure | None]) -> None:
        self._journal = journal
        self._declarations = declarations
        self._tenure = tenure
        self._changed = asyncio.Event()
        self._reported: set[str] = set()

    def reload(self) -> None:
        """Read the declarations again soon: an engine has changed them."""
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
            _log.warning("housekeeping failed and will be tried again", error=str(error))
        except Exception:
            # A fault in one round must not end the rounds that follow.
            _log.exception("housekeeping failed and will be tried again")

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
