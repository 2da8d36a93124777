"""The guards of the model, each taken away in turn: the enumeration of faults must find a broken saga then.

Without this a property that cannot fail would look like a proof.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from kompensa.model import forward, undo
from kompensa.model.commands import CallCompensation, Command
from kompensa.model.definition import Definition, Step, StepKind
from kompensa.model.draft import Draft
from kompensa.model.durability import must_commit_first
from kompensa.model.events import CancelAsked, Event, ResumeAsked
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.policies import RetryPolicy
from kompensa.model.saga import MAY_HAVE_EFFECT, Phase, Saga, StepPhase
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_verdict import verify
from tests.support.saga_world import Fate, MustCommitFirst, SagaWorld, explore

SHAPES = [
    chain("a", "b", "c!", policy=RetryPolicy(maximum_attempts=1)),
    chain("a", "b", "c!", policy=RetryPolicy(maximum_attempts=2), keyed=False),
    definition(step("a"), step("b", index=1), step("c", index=2, depends_on=[0, 1], depth=1)),
]
PERSONS: tuple[Event, ...] = (ResumeAsked(), CancelAsked())


def broken_saga_is_found(must_commit: MustCommitFirst = must_commit_first) -> bool:
    """Whether two faults are enough for a saga that ends neither whole nor undone, or for a rule that is not kept."""
    try:
        for shape, person in product(SHAPES, PERSONS):
            for world in explore(SagaWorld(shape, person=person, must_commit=must_commit), faults=2):
                verify(world)
    except AssertionError:
        return True
    return False


def ledgers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge by what participants did, without the checks at each call."""
    monkeypatch.setattr(SagaWorld, "_check_declared", lambda self, command: None)


def test_with_every_guard_in_place_nothing_is_found() -> None:
    assert not broken_saga_is_found()


def test_compensating_in_forward_order_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    order = undo._effect_order
    monkeypatch.setattr(undo, "_effect_order", lambda draft, step: tuple(-part for part in order(draft, step)))
    assert broken_saga_is_found()


def test_leaving_a_step_of_unknown_outcome_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "MAY_HAVE_EFFECT", frozenset({StepPhase.SUCCEEDED}))
    assert broken_saga_is_found()


def test_forgetting_steps_that_ran_before_a_crash_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "may_have_effect", lambda draft, step: draft.steps[step.index].phase in MAY_HAVE_EFFECT)
    assert broken_saga_is_found()


def test_forgetting_that_a_first_call_of_a_replay_may_be_a_second_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    call_action = Draft.call_action

    def forgetful(self: Draft, step: Step) -> None:
        maybe = self.steps[step.index].maybe
        call_action(self, step)
        self.set_step(step, maybe=maybe)

    monkeypatch.setattr(Draft, "call_action", forgetful)
    assert broken_saga_is_found()


def test_undoing_around_a_moving_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers_only(monkeypatch)
    monkeypatch.setattr(forward, "ACTION_UNDER_WAY", frozenset[StepPhase]())
    assert broken_saga_is_found()


def test_turning_back_beyond_the_point_of_no_return_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers_only(monkeypatch)
    monkeypatch.setattr(forward, "beyond_return", lambda definition, steps: False)
    assert broken_saga_is_found()


def test_believing_a_refusal_after_an_unseen_attempt_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    failed: Callable[..., None] = forward._failed

    def credulous(draft: Draft, step: Step, *, reason: str, message: str, proven: bool) -> None:
        failed(draft, step, reason=reason, message=message, proven=True)

    monkeypatch.setattr(forward, "_failed", credulous)
    assert broken_saga_is_found()


def test_taking_a_reset_connection_for_a_call_that_was_not_sent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    transmit = SagaWorld._transmit

    def credulous(self: SagaWorld, step: Step, direction: Direction, fate: Fate) -> Outcome:
        outcome = transmit(self, step, direction, fate)
        return Outcome.NOT_SENT if fate in (Fate.REQUEST_LOST, Fate.REPLY_LOST) else outcome

    monkeypatch.setattr(SagaWorld, "_transmit", credulous)
    assert broken_saga_is_found()


def test_judging_a_step_by_its_last_attempt_alone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown: Callable[..., None] = forward._unknown

    def forgetful(draft: Draft, step: Step, *, sent: bool = True, **how: Any) -> None:
        if not sent:
            draft.set_step(step, maybe=False)
        unknown(draft, step, sent=sent, **how)

    monkeypatch.setattr(forward, "_unknown", forgetful)
    assert broken_saga_is_found()


def test_compensating_what_was_never_sent_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown: Callable[..., None] = forward._unknown
    monkeypatch.setattr(forward, "_unknown", lambda draft, step, **how: unknown(draft, step, **{**how, "sent": True}))
    assert broken_saga_is_found()


def test_turning_back_without_a_write_is_found_in_the_ledgers(monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers_only(monkeypatch)

    def careless(definition: Definition, before: Saga, after: Saga, commands: Sequence[Command]) -> bool:
        if after.stopping or after.phase is Phase.COMPENSATING:
            compensations = [c for c in commands if isinstance(c, CallCompensation)]
            return any(not definition.steps[c.step].keyed for c in compensations)
        return must_commit_first(definition, before, after, commands)

    assert broken_saga_is_found(careless)


def test_passing_the_point_of_no_return_without_a_write_is_found_in_the_ledgers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledgers_only(monkeypatch)

    def careless(definition: Definition, before: Saga, after: Saga, commands: Sequence[Command]) -> bool:
        all_alike = tuple(replace(step, kind=StepKind.COMPENSATABLE) for step in definition.steps)
        return must_commit_first(replace(definition, steps=all_alike), before, after, commands)

    assert broken_saga_is_found(careless)


def test_calling_a_participant_without_keys_unwritten_is_found_in_the_ledgers(monkeypatch: pytest.MonkeyPatch) -> None:
    ledgers_only(monkeypatch)

    def careless(definition: Definition, before: Saga, after: Saga, commands: Sequence[Command]) -> bool:
        all_keyed = tuple(replace(step, keyed=True) for step in definition.steps)
        return must_commit_first(replace(definition, steps=all_keyed), before, after, commands)

    assert broken_saga_is_found(careless)
