"""The events of a saga: the input of `advance`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kompensa.model.outcomes import Direction, Outcome


class Accepted(Struct, frozen=True):
    """The engine accepted the saga."""


class Replied(Struct, frozen=True, kw_only=True):
    """A call of an action or a compensation ended.

    Attributes
    ----------
    attempt
        The number of the attempt that this reply belongs to. `advance` ignores replies to older attempts.
    retry_after
        Seconds for which the participant asked not to be called again.
    """

    step: int
    direction: Direction
    attempt: int
    outcome: Outcome
    reply: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None
    retry_after: float = 0.0


class Probed(Struct, frozen=True, kw_only=True):
    """A probe ended. `outcome` is that of the action it asked about."""

    step: int
    attempt: int
    outcome: Outcome
    reply: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None


class TimerDue(Struct, frozen=True):
    """The time `Saga.wake_at` is reached."""


class Recovered(Struct, frozen=True):
    """A new owner loaded the saga from the journal. Calls that were under way may have been made."""


class CancelAsked(Struct, frozen=True):
    """A user asked to undo the saga."""

    reason: str = "Cancelled"
    message: str = "cancelled on request"


class SuspendAsked(Struct, frozen=True):
    """A user asked to make no new call until the saga is resumed."""


class ResumeAsked(Struct, frozen=True):
    """A user asked to go on. A parked step is tried again with a fresh retry budget."""


Event = Accepted | Replied | Probed | TimerDue | Recovered | CancelAsked | SuspendAsked | ResumeAsked
