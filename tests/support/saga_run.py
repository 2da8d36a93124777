"""One saga driven by hand: events in, and what it asked for as words (`action a#1`, `undo b#2`, `probe c#3`)."""

from __future__ import annotations

from typing import Any

from kompensa.model.commands import CallAction, CallCompensation, CallProbe, Command, Finish
from kompensa.model.definition import Definition, Step
from kompensa.model.durability import must_commit_first
from kompensa.model.events import Accepted, Event, Probed, Replied, TimerDue
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.saga import Saga, StepState, new_saga
from kompensa.model.transition import Advance, advance

START = 1000.0


class Run:
    """A saga that has been accepted, by default."""

    def __init__(self, definition: Definition, *, accepted: bool = True, saga_input: dict[str, Any] | None = None):
        self.definition = definition
        self.now = START
        self.saga: Saga = new_saga(
            saga_id="0b8a3c5e-0000-4000-8000-000000000001",
            namespace="shop",
            name="order-1",
            definition=definition.name,
            revision=definition.revision,
            steps=len(definition.steps),
            saga_input=saga_input or {},
            now=self.now,
        )
        self.asked: list[str] = []
        """By the last event."""
        self.log: list[str] = []
        self.committed_first = False
        """Whether the last event's transition had to be durable before it was acted on."""
        if accepted:
            self.feed(Accepted())

    def feed(self, event: Event) -> Advance:
        before = self.saga
        decided = advance(self.definition, before, event, self.now)
        self.saga = decided.saga
        self.asked = [self._spelled(command) for command in decided.commands]
        self.committed_first = must_commit_first(self.definition, before, decided.saga, decided.commands)
        self.log += [entry.kind for entry in decided.log]
        return decided

    def done(self, name: str, **reply: Any) -> None:
        """The call that the step is waiting for succeeds."""
        self._reply(name, Outcome.SUCCEEDED, reply=reply)

    def refused(self, name: str, *, reason: str = "Refused", message: str = "no") -> None:
        self._reply(name, Outcome.FAILED, reason=reason, message=message)

    def unknown(self, name: str, *, retry_after: float = 0.0) -> None:
        self._reply(name, Outcome.UNKNOWN, reason="TimedOut", message="no answer", retry_after=retry_after)

    def not_sent(self, name: str) -> None:
        self._reply(name, Outcome.NOT_SENT, reason="Unreachable", message="connection refused")

    def misconfigured(self, name: str) -> None:
        self._reply(name, Outcome.MISCONFIGURED, reason="Http404", message="404")

    def probed(
        self, name: str, outcome: Outcome, *, reason: str | None = None, message: str | None = None, **reply: Any
    ) -> None:
        attempt = self.state(name).attempts
        index = self.step(name).index
        self.feed(Probed(step=index, attempt=attempt, outcome=outcome, reply=reply, reason=reason, message=message))

    def wake(self) -> None:
        """The saga's timer comes due."""
        assert self.saga.wake_at is not None, "the saga waits for no time"
        self.now = max(self.now, self.saga.wake_at)
        self.feed(TimerDue())

    def exhaust(self, name: str) -> None:
        """Every attempt of the step's call stays without an outcome."""
        self.unknown(name)
        while self.saga.wake_at is not None and self.state(name).due is not None:
            self.wake()
            self.unknown(name)

    def step(self, name: str) -> Step:
        return next(step for step in self.definition.steps if step.name == name)

    def state(self, name: str) -> StepState:
        return self.saga.steps[self.step(name).index]

    def _reply(self, name: str, outcome: Outcome, **rest: Any) -> None:
        step, state = self.step(name), self.state(name)
        undoing = state.undo_attempts > 0
        self.feed(
            Replied(
                step=step.index,
                direction=Direction.COMPENSATION if undoing else Direction.ACTION,
                attempt=state.undo_attempts if undoing else state.attempts,
                outcome=outcome,
                **rest,
            )
        )

    def _spelled(self, command: Command) -> str:
        match command:
            case Finish(phase=phase):
                return f"finish {phase}"
            case CallAction():
                verb = "action"
            case CallCompensation():
                verb = "undo"
            case CallProbe():
                verb = "probe"
        return f"{verb} {self.definition.steps[command.step].name}#{command.attempt}"
