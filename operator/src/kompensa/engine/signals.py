"""Brings what was asked of sagas to them.

Requests are rows, so they outlive whoever asked and whoever owns the saga. A notification makes it quick; every few
seconds the table is looked at anyway, in case one was lost.

A request can wait for long, to be written down or for a saga that cannot be read; each look goes past those to the
table's end, so that none of them keeps others from being seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from kompensa.engine.running_saga import InboxItem, RunningSaga
from kompensa.journal.errors import JournalError
from kompensa.journal.port import Signals
from kompensa.journal.records import Signal
from kompensa.model.events import CancelAsked, Event, ResumeAsked, SuspendAsked

_log = structlog.get_logger(__name__)
_POLL_SECONDS = 5.0
_PAGE_SIZE = 1000


class SignalPump:
    """`find` gives the saga in memory, bringing it back if it rests; None when it has ended or is not ours (yet)."""

    def __init__(
        self,
        signals: Signals,
        *,
        shards: Callable[[], frozenset[int]],
        find: Callable[[Signal], Awaitable[RunningSaga | None]],
        deliver: Callable[[RunningSaga, InboxItem], None],
    ) -> None:
        self._signals = signals
        self._shards = shards
        self._find = find
        self._deliver = deliver
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    async def run(self) -> None:
        """Look whenever woken, and now and then, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.once()
            except JournalError as error:
                _log.warning("requests to sagas could not be read", error=str(error))
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def once(self) -> None:
        """Deliver what waits."""
        absent: set[str] = set()
        page = await self._signals.asked(self._shards(), limit=_PAGE_SIZE)
        while page:
            for signal in page:
                await self._bring(signal, absent)
            if len(page) < _PAGE_SIZE:
                return
            page = await self._signals.asked(self._shards(), after=page[-1].id, limit=_PAGE_SIZE)

    async def _bring(self, signal: Signal, absent: set[str]) -> None:
        """A saga that was looked for in vain is looked for again in the next round, however much is asked of it."""
        if signal.saga_id in absent:
            return
        running = await self._find(signal)
        if running is None:
            absent.add(signal.saga_id)
        elif signal.id not in running.signals:
            running.signals.add(signal.id)
            self._deliver(running, InboxItem(event_of(signal), signal))


def event_of(signal: Signal) -> Event | None:
    """What a request means to the model; None where it only concerns the object."""
    match signal.kind:
        case "cancel":
            return CancelAsked(message=signal.reason or "cancelled on request")
        case "suspend":
            return SuspendAsked()
        case "resume":
            return ResumeAsked()
        case "object-deleted-compensate":
            return CancelAsked(reason="ObjectDeleted", message="its Saga object was deleted")
        case _:
            return None
