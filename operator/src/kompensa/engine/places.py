"""Places at participants: each is called so many times at once as it declares, and the other calls wait in their turn.

How many there are is asked whenever one may be given, so that a changed declaration holds for those who wait as well:
a semaphore for each number would let the old and the new one add up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Key = tuple[str, str]


class Places:
    """Lends places by namespace and name; `limit` says how many there are, infinitely many where nobody is called."""

    def __init__(self, limit: Callable[[str, str], float]) -> None:
        self._limit = limit
        self._queues: dict[Key, _Queue] = {}

    async def take(self, key: Key) -> None:
        """Return with a place in hand, which is to be given back."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
        if not queue.waiting and queue.taken < self._limit(*key):
            queue.taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.waiting.append(turn)
        self._serve(key, queue)  # there may be more places by now
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.give_back(key)  # it was given in the same moment
            raise

    def give_back(self, key: Key) -> None:
        """Let the next one have the place, if there still is one."""
        queue = self._queues[key]
        queue.taken -= 1
        self._serve(key, queue)
        if not queue.taken and not queue.waiting:
            del self._queues[key]

    def _serve(self, key: Key, queue: _Queue) -> None:
        while queue.waiting and queue.taken < self._limit(*key):
            turn = queue.waiting.popleft()
            if not turn.done():  # who was cancelled waits no longer
                turn.set_result(None)
                queue.taken += 1


class _Queue:
    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
