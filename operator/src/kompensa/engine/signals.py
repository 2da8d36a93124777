"""Brings signals (requests to cancel, suspend, resume, ...) from the journal to their sagas.

Signals are rows, so they outlive the request that made them and the engine that owns the saga. A notification brings
them at once; the table is also read every few seconds, in case a notification was lost.

A signal can stay in the table for long: until it is answered by a commit, or if its saga cannot be read. Each reading
goes on to the table's end, so that such signals do not hide the ones behind them.
"""

from __future__ import annotations

import asyncio

import structlog

from kompensa.engine.held_lease import HeldLease
from kompensa.engine.recovery import Recovery
from kompensa.engine.runner import Runner
from kompensa.engine.running_saga import InboxItem
from kompensa.journal.errors import JournalError
from kompensa.journal.port import Signals
from kompensa.journal.records import Signal
from kompensa.model.events import CancelAsked, Event, ResumeAsked, SuspendAsked

_log = structlog.get_logger(__name__)
_POLL_SECONDS = 5.0
_PAGE_SIZE = 1000


class SignalPump:
    """Delivers the signals of a lease's shards."""

    def __init__(self, signals: Signals, held: HeldLease, recovery: Recovery, runner: Runner) -> None:
        self._signals = signals
        self._held = held
        self._recovery = recovery
        self._runner = runner
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Read the table at once."""
        self._wake.set()

    async def run(self) -> None:
        """Read the table whenever woken, and every few seconds, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.once()
            except JournalError as error:
                _log.warning("signals could not be read", error=str(error))
            try:
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def once(self) -> None:
        """Deliver every signal that waits."""
        absent: set[str] = set()
        page = await self._signals.asked(self._held.shards, limit=_PAGE_SIZE)
        while page:
            for signal in page:
                await self._bring(signal, absent)
            if len(page) < _PAGE_SIZE:
                return
            page = await self._signals.asked(self._held.shards, after=page[-1].id, limit=_PAGE_SIZE)

    async def _bring(self, signal: Signal, absent: set[str]) -> None:
        """Deliver one signal. An absent saga is looked up once a round, however many signals it has."""
        if signal.saga_id in absent:
            return
        running = await self._recovery.for_signal(signal)
        if running is None:
            absent.add(signal.saga_id)
        elif running.sees_first(signal):
            self._runner.deliver(running, InboxItem(event_of(signal), signal))


def event_of(signal: Signal) -> Event | None:
    """The event that a signal means to the model; None if it concerns only the Saga object."""
    match signal.kind:
        case "cancel":
            return CancelAsked(message=signal.reason or "cancelled on request")
        case "suspend":
            return SuspendAsked()
        case "resume":
            return ResumeAsked()
        case "object-deleted-compensate":
            return CancelAsked(reason="ObjectDeleted", message="its Saga object was deleted")
        case "object-deleted-orphan":
            return None
