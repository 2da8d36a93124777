"""A keyed work queue: what the watch delivers goes in, level-triggered reconciliation comes out.

kopf's `on.event` handlers are never retried, and its state-tracking ones cost two more writes an object. So a
handler here only offers the object to a queue. A key is worked on by one worker at a time with the newest object
offered; a failure is repeated with back-off, a success may ask to be repeated after a while. Nothing is written
anywhere: after a restart the watch lists everything again. The number of keys that wait for a worker is bounded, and
an offer beyond that waits, which slows the watch down instead of filling the memory.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from kompensa.handlers import metrics
from kompensa_common.backoff import Backoff

_log = structlog.get_logger(__name__)

Item = TypeVar("Item")

# Returns the seconds after which the key is to be worked on again; None when it is done.
Work = Callable[[Item, int], Awaitable[float | None]]

RETRY = Backoff(first=0.2, longest=10.0)
ATTEMPT_SECONDS = 60.0


class RetryLaterError(Exception):
    """The work could not be done now; `after` is the earliest time to try again, in seconds."""

    def __init__(self, message: str, *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


@dataclass(slots=True)
class _Entry(Generic[Item]):
    item: Item
    attempts: int = 0
    running: bool = False
    offered_again: bool = False
    timer: asyncio.TimerHandle | None = None
    ready_since: float = field(default_factory=time.monotonic)


class WorkQueue(Generic[Item]):
    """Keys with their newest item, worked on by `workers` tasks; `limit` keys may wait for one."""

    def __init__(self, name: str, work: Work[Item], *, workers: int = 8, limit: int = 1000) -> None:
        self.name = name
        self._work = work
        self._workers = workers
        self._entries: dict[str, _Entry[Item]] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue(maxsize=limit)
        metrics.QUEUE_DEPTH.labels(name).set_function(lambda: float(len(self._entries)))

    async def offer(self, key: str, item: Item, *, wake: bool = True) -> None:
        """Work on `item`; with `wake=False` a key that is already waiting only takes the newer item along."""
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = _Entry(item)
            await self._ready.put(key)
            return
        entry.item = item
        if wake:
            self.wake(key)

    def wake(self, key: str) -> None:
        """Work on a waiting key now, on one being worked on once more; unknown ones are left alone."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if entry.running:
            entry.offered_again = True
        elif entry.timer is not None:
            self._wake(key, entry)

    def drop(self, key: str) -> None:
        """Forget a key that waits; one being worked on ends and is then forgotten unless it is offered again."""
        entry = self._entries.get(key)
        if entry is None or entry.running:
            return
        if entry.timer is not None:
            entry.timer.cancel()
            del self._entries[key]

    def item(self, key: str) -> Item | None:
        """The newest item of a key that is not done."""
        entry = self._entries.get(key)
        return entry.item if entry is not None else None

    def items(self) -> list[tuple[str, Item]]:
        """All keys that are not done, with their newest items."""
        return [(key, entry.item) for key, entry in self._entries.items()]

    def oldest(self) -> float:
        """Seconds that the longest-waiting ready key has waited for a worker; 0.0 when none does."""
        waiting = [e.ready_since for e in self._entries.values() if not e.running and e.timer is None]
        return time.monotonic() - min(waiting) if waiting else 0.0

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._serve(), name=f"{self.name} worker {number}")

    async def _serve(self) -> None:
        while True:
            key = await self._ready.get()
            entry = self._entries.get(key)
            if entry is not None:
                await self._attempt(key, entry)

    async def _attempt(self, key: str, entry: _Entry[Item]) -> None:
        entry.running, entry.offered_again = True, False
        again: float | None
        started = time.monotonic()
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                again = await self._work(entry.item, entry.attempts)
            entry.attempts = 0
        except Exception as error:
            again = self._failed(key, entry, error)
        finally:
            entry.running = False
            metrics.WORK_DURATION.labels(self.name).observe(time.monotonic() - started)
        self._settle(key, entry, again)

    def _failed(self, key: str, entry: _Entry[Item], error: Exception) -> float:
        entry.attempts += 1
        delay = RETRY.pause(entry.attempts)
        metrics.RETRIES.labels(self.name).inc()
        if isinstance(error, RetryLaterError):
            _log.info("trying again", queue=self.name, key=key, why=str(error), attempt=entry.attempts)
            return max(delay, error.after)
        _log.exception("work failed, trying again", queue=self.name, key=key, attempt=entry.attempts)
        return delay

    def _settle(self, key: str, entry: _Entry[Item], again: float | None) -> None:
        if entry.offered_again:
            self._wake(key, entry)
        elif again is None:
            del self._entries[key]
        else:
            entry.timer = asyncio.get_running_loop().call_later(again, self._wake, key, entry)

    def _wake(self, key: str, entry: _Entry[Item]) -> None:
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        entry.ready_since = time.monotonic()
        try:
            self._ready.put_nowait(key)
        except asyncio.QueueFull:
            # The bound holds for retries, too: they step back behind what is already waiting.
            entry.timer = asyncio.get_running_loop().call_later(1.0, self._wake, key, entry)
