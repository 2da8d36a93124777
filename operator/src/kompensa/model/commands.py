"""What a saga asks for. The engine carries these out once `durability` allows it; nothing else calls a participant."""

from __future__ import annotations

from msgspec import Struct

from kompensa.model.saga import Phase


class CallAction(Struct, frozen=True):
    """Call the step's action; answer with `Replied`."""

    step: int
    attempt: int


class CallCompensation(Struct, frozen=True):
    """Call the step's compensation; answer with `Replied`."""

    step: int
    attempt: int


class CallProbe(Struct, frozen=True):
    """Ask what became of the step's action; answer with `Probed`."""

    step: int
    attempt: int


class Finish(Struct, frozen=True):
    """The saga has ended, or waits for a person, in this phase."""

    phase: Phase


Command = CallAction | CallCompensation | CallProbe | Finish


class LogEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a saga's history, in the order of `advance`. `kind` is CamelCase, e.g. StepSucceeded."""

    at: float
    kind: str
    step: str | None = None
    attempt: int | None = None
    reason: str | None = None
    message: str | None = None
