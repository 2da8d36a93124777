"""The commands of a saga to the engine. The engine carries them out as soon as `durability` allows it.

Participants are called by these commands and in no other way.
"""

from __future__ import annotations

from msgspec import Struct

from kompensa.model.saga import Phase


class CallAction(Struct, frozen=True):
    """Call the step's action. The engine answers with `Replied`."""

    step: int
    attempt: int


class CallCompensation(Struct, frozen=True):
    """Call the step's compensation. The engine answers with `Replied`."""

    step: int
    attempt: int


class CallProbe(Struct, frozen=True):
    """Ask the participant whether the step's action took place. The engine answers with `Probed`."""

    step: int
    attempt: int


class Finish(Struct, frozen=True):
    """The saga has ended or waits for a person. `phase` says which."""

    phase: Phase


Command = CallAction | CallCompensation | CallProbe | Finish


class LogEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a saga's history. `kind` is in CamelCase, for example StepSucceeded."""

    at: float
    kind: str
    step: str | None = None
    attempt: int | None = None
    reason: str | None = None
    message: str | None = None
