"""An event loop whose clock jumps to the next timer as soon as nothing else is left to do.

Minutes of retries and leases pass in milliseconds, and always in the same order. It must not be used where threads
or other processes are waited for: to this loop they would look like nothing left to do.
"""

from __future__ import annotations

import asyncio
import selectors

START = 1_800_000_000.0
"""The wall clock at the start of a loop, in seconds since the epoch."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("nothing is left that could ever happen: the test waits forever")
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def elapsed() -> float:
    """Seconds since the loop began; takes the place of `time.monotonic`."""
    return asyncio.get_running_loop().time()


def wall_clock() -> float:
    """Takes the place of `time.time`."""
    return START + elapsed()
