"""What can happen to a saga. Everything that reaches `advance` is one of these."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from kompensa.model.outcomes import Direction, Outcome


class Accepted(Struct, frozen=True):
    """The saga was taken on."""


class Replied(Struct, frozen=True, kw_only=True):
    """A call ended. `attempt` is the number the call was made with; a reply to an older attempt is ignored.

    `retry_after` is what the participant asked for, in seconds.
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
    """The participant was asked what became of an action."""

    step: int
    attempt: int
    outcome: Outcome
    reply: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None


class TimerDue(Struct, frozen=True):
    """`Saga.wake_at` has come."""


class Recovered(Struct, frozen=True):
    """The saga was loaded from the journal by a new owner: what was under way may have been called."""


class CancelAsked(Struct, frozen=True):
    """Somebody wants the saga undone."""

    reason: str = "Cancelled"
    message: str = "cancelled on request"


class SuspendAsked(Struct, frozen=True):
    """No new call until resumed."""


class ResumeAsked(Struct, frozen=True):
    """Go on; a parked step is tried again with a fresh retry budget."""


Event = Accepted | Replied | Probed | TimerDue | Recovered | CancelAsked | SuspendAsked | ResumeAsked
