"""At most `maxInFlight` calls to one participant run at a time; the others wait in the order in which they came.

The limit is read whenever a slot may be granted, so that a changed declaration also applies to calls that wait already.
A semaphore for each limit would let the slots of the old and of the new one add up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

Key = tuple[str, str]


class ConcurrencyLimiter:
    """Grants slots by namespace and name. `limit` returns how many there are: infinity for an unknown participant."""

    def __init__(self, limit: Callable[[str, str], float]) -> None:
        self._limit = limit
        self._queues: dict[Key, _Queue] = {}

    async def acquire(self, key: Key) -> None:
        """Wait for a slot. The caller must release it."""
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = _Queue()
        if not queue.waiting and queue.taken < self._limit(*key):
            queue.taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue.waiting.append(turn)
        self._serve(key, queue)  # the limit may have been raised meanwhile
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.release(key)  # the slot was granted in the same moment
            raise

    def release(self, key: Key) -> None:
        """Give the slot to the next waiter, if the limit still allows it."""
        queue = self._queues[key]
        queue.taken -= 1
        self._serve(key, queue)
        if not queue.taken and not queue.waiting:
            del self._queues[key]

    def _serve(self, key: Key, queue: _Queue) -> None:
        while queue.waiting and queue.taken < self._limit(*key):
            turn = queue.waiting.popleft()
            if not turn.done():  # a cancelled waiter stays in the queue until its turn
                turn.set_result(None)
                queue.taken += 1


class _Queue:
    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
