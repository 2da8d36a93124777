"""The next state of a saga while `advance` works on it. A draft lives for one call and is the only mutable object here.

It collects the new state, the commands and the lines of the history. The rules in `forward` and `undo` write into it,
so they need not return and merge tuples.
"""

from __future__ import annotations

from typing import Unpack

from msgspec.structs import replace

from kompensa.model.commands import CallAction, CallCompensation, CallProbe, Command, Finish, LogEntry
from kompensa.model.definition import Definition, Step
from kompensa.model.saga import Explanation, Phase, Saga, SagaChanges, StepChanges, StepPhase, StepState

MESSAGE_LIMIT = 500
"""Characters. Messages are for people, and a participant may put a whole page into an error."""


def clipped(message: str) -> str:
    """The message, cut off after `MESSAGE_LIMIT` characters."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"


class Draft:
    """The next state of `saga`, and the commands and the history that go with it."""

    __slots__ = ("commands", "definition", "log", "now", "saga", "steps")

    def __init__(self, definition: Definition, saga: Saga, now: float) -> None:
        self.definition = definition
        self.saga = saga
        self.steps = list(saga.steps)
        self.now = now
        self.commands: list[Command] = []
        self.log: list[LogEntry] = []

    def set(self, **changes: Unpack[SagaChanges]) -> None:
        """Change fields of the saga itself."""
        self.saga = replace(self.saga, **changes)

    def set_step(self, step: Step, **changes: Unpack[StepChanges]) -> StepState:
        """Change fields of one step."""
        changed = replace(self.steps[step.index], **changes)
        self.steps[step.index] = changed
        return changed

    def note(
        self,
        kind: str,
        step: Step | None = None,
        *,
        attempt: int | None = None,
        reason: str | None = None,
        message: str | None = None,
    ) -> None:
        """Add a line to the history."""
        self.log.append(
            LogEntry(
                at=self.now,
                kind=kind,
                step=step.name if step else None,
                attempt=attempt,
                reason=reason,
                message=clipped(message) if message else None,
            )
        )

    def call_action(self, step: Step) -> None:
        """Record that the action may have been called, and ask for the call."""
        state = self.steps[step.index]
        attempt = state.attempts + 1
        self.set_step(
            step,
            phase=StepPhase.CALLING,
            attempts=attempt,
            order=state.order or max([s.order for s in self.steps]) + 1,
            maybe=state.maybe or (self.saga.replayed and step.keyed),
            started_at=self.now if state.started_at is None else state.started_at,
            due=None,
        )
        self.note("StepStarted", step, attempt=attempt)
        self.commands.append(CallAction(step.index, attempt))

    def call_probe(self, step: Step) -> None:
        """Ask the participant whether the action took place. The question changes nothing, so it needs no intent."""
        state = self.set_step(step, phase=StepPhase.PROBING, due=None)
        self.note("StepProbed", step, attempt=state.attempts)
        self.commands.append(CallProbe(step.index, state.attempts))

    def call_compensation(self, step: Step) -> None:
        """Record that the compensation may have been called, and ask for the call."""
        attempt = self.steps[step.index].undo_attempts + 1
        self.set_step(step, phase=StepPhase.UNDOING, undo_attempts=attempt, due=None)
        self.note("CompensationStarted", step, attempt=attempt)
        self.commands.append(CallCompensation(step.index, attempt))

    def park(self, step: Step, phase: StepPhase, *, reason: str, message: str) -> None:
        """Wait for a person. Calls under way still finish, and no new call starts."""
        self.set_step(step, phase=phase, due=None, reason=reason, message=clipped(message))
        self.note("InterventionRequired", step, reason=reason, message=message)
        self.set(phase=Phase.INTERVENTION_REQUIRED)
        self.commands.append(Finish(Phase.INTERVENTION_REQUIRED))

    def finish(self, phase: Phase, **explanation: Unpack[Explanation]) -> None:
        """End the saga in a terminal phase."""
        self.set(phase=phase, ended_at=self.now, deadline_at=None, stopping=False, suspended=False, **explanation)
        self.note(f"Saga{phase}", reason=self.saga.reason)
        self.commands.append(Finish(phase))

    def sealed(self) -> Saga:
        """The new state, immutable again."""
        return replace(self.saga, steps=tuple(self.steps))
