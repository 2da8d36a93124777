"""Where a saga that was born of an object shows itself."""

from __future__ import annotations

from typing import Protocol

from kompensa.model.view import SagaView


class Face(Protocol):
    """Shows views of object-born sagas."""

    async def publish(self, view: SagaView, generation: int | None = None) -> None:
        """Show the newest view.

        A view in between returns at once and may be shown late or never. A resting one (ended, or parked in front of
        a person) returns when it is shown, or when there is no object left to show it on. `generation` is the
        object's, as far as the engine was told.
        """
        ...


class NoFace:
    """For engines outside a cluster: nobody looks."""

    async def publish(self, view: SagaView, generation: int | None = None) -> None:
        """See `Face.publish`."""
