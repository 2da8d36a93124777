"""Rules for every transition, and for a saga at rest after all faults have healed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kompensa.model.commands import CallAction, CallCompensation, Command
from kompensa.model.definition import Definition
from kompensa.model.outcomes import Outcome
from kompensa.model.saga import Phase, Saga, StepPhase

if TYPE_CHECKING:
    from tests.support.saga_world import SagaWorld


def check_transition(before: Saga, after: Saga, commands: Sequence[Command]) -> None:
    """Check the rules for every single transition."""
    if before.terminal:
        assert after is before, "a terminal saga changed"
        assert not commands, "a terminal saga asked for something"
    for old, new in zip(before.steps, after.steps, strict=True):
        assert new.attempts >= old.attempts, "attempts were forgotten"
        assert new.undo_attempts >= old.undo_attempts, "attempts were forgotten"
    if after.suspended and before.suspended:
        assert not any(isinstance(c, CallAction | CallCompensation) for c in commands), "a call while suspended"
    if after.terminal and not before.terminal:
        assert after.settled, "ended with a call under way"
        assert after.wake_at is None, "ended with a timer"


def verify(world: SagaWorld) -> None:
    """After healing: whole or undone, judged by the ledgers; or parked in front of a person for a good reason."""
    saga, ledger, steps = world.saga, world.ledger, world.definition.steps
    everything = {step.index for step in steps}
    if saga.phase is Phase.SUCCEEDED:
        assert ledger.standing == everything, f"succeeded, but standing is {ledger.standing} of {everything}"
        assert not ledger.undone, f"succeeded, but {ledger.undone} was undone"
    elif saga.phase is Phase.COMPENSATED:
        assert not ledger.standing, f"compensated, but {ledger.standing} still stands"
        _verify_compensated(world)
    else:
        assert saga.phase is Phase.INTERVENTION_REQUIRED, f"neither ended nor parked: {saga.phase}"
        assert not ledger.undone, "parked half-way undone although every compensation was possible"
        parked = [step for step in steps if saga.steps[step.index].phase is StepPhase.PARKED]
        assert parked, "parked without a parked step"
        assert all(step.retriable for step in parked), "parked finally although no Retriable step is refused"
    _verify_order(world)
    if world.lives == 1 and not world.held:
        _verify_budgets(world)


def _verify_compensated(world: SagaWorld) -> None:
    for step, state in zip(world.definition.steps, world.saga.steps, strict=True):
        assert not (step.retriable and state.order), "a saga turned back beyond the point of no return"
        if state.outcome in (Outcome.FAILED, Outcome.NOT_SENT):
            assert state.undo_attempts == 0, "a step that was proved to have no effect was compensated"
        if world.lives == 1 and step.index not in world.left:
            assert state.undo_attempts == 0, "a step of which no call was ever sent was compensated"
        if state.outcome in (Outcome.UNKNOWN, Outcome.SUCCEEDED):
            assert state.phase is StepPhase.UNDONE, f"a step with outcome {state.outcome} was not compensated"


def _verify_order(world: SagaWorld) -> None:
    undone = world.ledger.undone
    assert len(undone) == len(set(undone)), "an effect was undone twice"
    for position, index in enumerate(undone):
        for later in undone[position + 1 :]:
            assert index not in set(_ancestors(world.definition, later)), (
                "a step was undone before one that built on it"
            )
    if world.lives == 1:
        firsts = list(dict.fromkeys(c.step for c in world.decided if isinstance(c, CallAction)))
        undoings = list(dict.fromkeys(c.step for c in world.decided if isinstance(c, CallCompensation)))
        expected = [index for index in reversed(firsts) if index in undoings]
        assert undoings == expected, f"compensated in order {undoings}, expected {expected}"


def _verify_budgets(world: SagaWorld) -> None:
    for step in world.definition.steps:
        actions = sum(1 for c in world.sent if isinstance(c, CallAction) and c.step == step.index)
        assert actions <= step.retry_policy.maximum_attempts, f"{step.name} was called {actions} times"


def _ancestors(definition: Definition, index: int) -> Iterator[int]:
    for parent in definition.steps[index].depends_on:
        yield parent
        yield from _ancestors(definition, parent)
