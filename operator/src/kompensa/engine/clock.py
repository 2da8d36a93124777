"""The wall clock as sagas see it: it never goes back.

A saga's due times are times of the wall clock, because they outlive the process. If that clock is set back by an
hour, every retry and deadline would be late by an hour. This clock goes slower instead, until the wall clock has caught
up: two seconds count as one. A wait takes twice as long at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_SLOWEST_RATE = 0.5


class SteadyClock:
    """Seconds since the epoch, never fewer than a moment ago."""

    def __init__(self, wall: Callable[[], float] = time.time, passing: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._passing = passing
        self._read_at = passing()
        self._latest = wall()

    def __call__(self) -> float:
        now = self._passing()
        self._latest = max(self._wall(), self._latest + _SLOWEST_RATE * (now - self._read_at))
        self._read_at = now
        return self._latest
