"""The sagas that an engine has in memory under one lease."""

from __future__ import annotations

from collections.abc import Iterator, Set

from kompensa.engine.metrics import IN_FLIGHT
from kompensa.engine.running_saga import RunningSaga


class SagaTable:
    """Running sagas by their id.

    At most one copy of a saga is in it. A copy that has left must never be driven again, or two copies would write one
    row; `holds` is what asks for that.
    """

    def __init__(self) -> None:
        self._sagas: dict[str, RunningSaga] = {}
        self._suspended: set[str] = set()
        self.weight = 0
        """The size of all their inputs in bytes, as JSON."""

    def __len__(self) -> int:
        return len(self._sagas)

    def __contains__(self, saga_id: str) -> bool:
        return saga_id in self._sagas

    def __iter__(self) -> Iterator[RunningSaga]:
        return iter(self._sagas.values())

    @property
    def busy(self) -> int:
        """How many are not suspended by a person."""
        return len(self._sagas) - len(self._suspended)

    def get(self, saga_id: str) -> RunningSaga | None:
        """The saga of this id, if it is in memory."""
        return self._sagas.get(saga_id)

    def holds(self, running: RunningSaga) -> bool:
        """Whether this very copy is in memory."""
        return self._sagas.get(running.saga.id) is running

    def enter(self, running: RunningSaga) -> None:
        """Keep a saga in memory."""
        self._sagas[running.saga.id] = running
        self.weight += running.weight
        IN_FLIGHT.set(len(self._sagas))

    def leave(self, running: RunningSaga) -> bool:
        """Forget a saga; False if this copy has left already."""
        if not self.holds(running):
            return False
        del self._sagas[running.saga.id]
        self.weight -= running.weight
        self._suspended.discard(running.saga.id)
        IN_FLIGHT.set(len(self._sagas))
        return True

    def count_suspended(self, running: RunningSaga) -> None:
        """Count a saga by its newest state."""
        (self._suspended.add if running.saga.suspended else self._suspended.discard)(running.saga.id)

    def of_shards(self, shards: Set[int]) -> list[RunningSaga]:
        """The sagas of these shards."""
        return [running for running in self if running.shard in shards]

    def overdue(self, now: float, *, late: float) -> list[RunningSaga]:
        """Sagas that do nothing although their time came more than `late` seconds ago."""
        return [
            running
            for running in self
            if not running.driving and running.wake_at is not None and now - running.wake_at > late
        ]

    def clear(self) -> None:
        """Forget all of them."""
        self._sagas.clear()
        IN_FLIGHT.set(0)
