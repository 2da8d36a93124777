"""The port by which the engine writes the status of Saga objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from kompensa.model.view import SagaView


class StatusPublisher(Protocol):
    """Writes the views of sagas to their Saga objects."""

    async def publish(
        self, view: SagaView, generation: int | None = None, *, permitted: Callable[[], Awaitable[None]]
    ) -> None:
        """Show the newest view.

        A view in between returns at once and may be shown late or never. A resting one (ended, or parked in front of
        a person) returns when it is shown, when another view has taken its place, or when there is no object left to
        show it on. `generation` is the object's, as far as the engine knows. Each write waits for
        `permitted` first: it returns while the saga is surely ours, and raises once it is not.
        """
        ...

    def forget(self, sagas: Iterable[str]) -> None:
        """Write nothing more about these sagas: another engine does from now on."""
        ...


class NullStatusPublisher:
    """For engines outside a cluster: there are no objects to write to."""

    async def publish(
        self, view: SagaView, generation: int | None = None, *, permitted: Callable[[], Awaitable[None]]
    ) -> None:
        """See `StatusPublisher.publish`."""

    def forget(self, sagas: Iterable[str]) -> None:
        """See `StatusPublisher.forget`."""
