"""The lease that an engine holds: which shards are its own, and whether it may act at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from time import monotonic

from kompensa.engine.errors import NotReadyError
from kompensa.journal.errors import StaleLeaseError
from kompensa.journal.records import Grant


class HeldLease:
    """One lease from its grant to its end.

    Attributes
    ----------
    shards
        The shards that are ours.
    closing
        Those of them that other engines should have: they take no new saga.
    lost
        Set when a commit or a call finds that the lease is gone. The engine need not wait for its next renewal.
    """

    def __init__(self, grant: Grant, *, valid_until: float) -> None:
        """Begin with a grant that surely holds until `valid_until`, by `time.monotonic`."""
        self.lease = grant.lease
        self.shards = grant.shards
        self.closing: frozenset[int] = frozenset()
        self.lost = asyncio.Event()
        self._open = tuple(grant.shards)
        self._turn = 0
        self._closed = False
        self._ended: StaleLeaseError | None = None
        self._valid_until = valid_until
        self._renewed = asyncio.Event()

    @property
    def ended(self) -> bool:
        """The lease is over, and never comes back."""
        return self._ended is not None

    async def permitted(self) -> None:
        """Return while the lease surely holds; wait while that is not known.

        A process that was paused for longer than its lease must not call a participant when it wakes: another engine
        runs its sagas by then.

        Raises
        ------
        StaleLeaseError
            The lease is over.
        """
        while self._ended is None and monotonic() >= self._valid_until:
            self._renewed.clear()
            await self._renewed.wait()
        if self._ended is not None:
            raise self._ended

    def renew(self, grant: Grant, valid_until: float) -> None:
        """Take a prolonged grant, with which shards may have come."""
        self.shards = grant.shards
        self._valid_until = valid_until
        self._renewed.set()
        # Always the highest numbers, so that the shards we keep stay the same while other engines come and go.
        self.closing = frozenset(sorted(grant.shards)[len(grant.shards) - grant.surplus :])
        self._open = tuple(grant.shards - self.closing)

    def part_with(self, shards: Set[int]) -> None:
        """Treat these shards as another engine's from now on. The next renewal says whether that came true."""
        self.shards -= shards

    def open_shard(self) -> int:
        """Choose a shard for a new saga: each in its turn.

        Raises
        ------
        NotReadyError
            There is none, or the lease is over or takes no new sagas.
        """
        if not self._open or self._closed or self._ended is not None:
            raise NotReadyError("this engine owns no shard now; ask again in a moment, or ask another engine")
        self._turn = (self._turn + 1) % len(self._open)
        return self._open[self._turn]

    def close(self) -> None:
        """Take no new sagas."""
        self._closed = True

    def end(self, reason: StaleLeaseError) -> None:
        """Refuse permission to those that wait for it and to those that come."""
        self._ended = reason
        self._renewed.set()
