"""All sagas' timers in one heap, behind one timer of the event loop.

A hundred thousand waiting sagas cost their tuples and nothing else. Setting a saga's timer again leaves the old entry
in the heap. The entry is recognised by its number when its time comes, or removed with others once they are the most.

The loop's timer runs by another clock than the one given here. It is never set for long, so that a change of the given
clock is noticed.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

# Wake in time for the clock's rounding, and never in a busy loop.
_SHORTEST_WAIT_SECONDS = 0.001
_LONGEST_WAIT_SECONDS = 1.0
# Fewer outdated entries than this are not worth a search of the heap.
_SWEEP_ABOVE_ENTRIES = 1000


class Timers:
    """Calls `due(key)` once the clock has reached the time set for that key."""

    def __init__(self, clock: Callable[[], float], due: Callable[[str], None]) -> None:
        self._clock = clock
        self._due = due
        self._heap: list[tuple[float, int, str]] = []
        self._current: dict[str, tuple[float, int]] = {}
        self._count = 0
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._current)

    def set(self, key: str, at: float | None) -> None:
        """Wake `key` at this time, which replaces any time set before; None for never."""
        known = self._current.get(key)
        if at is None:
            if known is not None:
                del self._current[key]
                self._sweep()
            return
        if known is not None and known[0] == at:
            return
        self._count += 1
        self._current[key] = (at, self._count)
        heapq.heappush(self._heap, (at, self._count, key))
        if self._heap[0][1] == self._count:
            self._arm()
        self._sweep()

    def close(self) -> None:
        """Wake no key any more."""
        self._current.clear()
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        wait = min(_LONGEST_WAIT_SECONDS, max(_SHORTEST_WAIT_SECONDS, self._heap[0][0] - self._clock()))
        self._handle = asyncio.get_running_loop().call_later(wait, self._fire)

    def _fire(self) -> None:
        self._handle = None
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._holds(entry):
                del self._current[entry[2]]
                self._due(entry[2])
        while self._heap and not self._holds(self._heap[0]):
            heapq.heappop(self._heap)
        if self._heap:
            self._arm()

    def _holds(self, entry: tuple[float, int, str]) -> bool:
        _, number, key = entry
        return self._current.get(key, (0.0, 0))[1] == number

    def _sweep(self) -> None:
        """Most sagas end long before their deadline, whose entries would pile up until then."""
        if len(self._heap) > 2 * len(self._current) + _SWEEP_ABOVE_ENTRIES:
            self._heap = [entry for entry in self._heap if self._holds(entry)]
            heapq.heapify(self._heap)
