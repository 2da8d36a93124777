"""A publisher that keeps what it was shown, and fails or waits as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from kompensa.model.view import SagaView


class RecordingPublisher:
    """See `StatusPublisher`. `fail_with` is raised by everything that is published, until it is None."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        """Phases, in the order in which they were shown."""
        self.generations: list[int | None] = []
        self.fail_with: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def publish(
        self, view: SagaView, generation: int | None = None, *, permitted: Callable[[], Awaitable[None]]
    ) -> None:
        """See `StatusPublisher.publish`."""
        await self.gate.wait()
        if self.fail_with is not None:
            raise self.fail_with
        self.shown.append(view.phase)
        self.generations.append(generation)

    def forget(self, sagas: Iterable[str]) -> None:
        """See `StatusPublisher.forget`."""
