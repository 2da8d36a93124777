"""`advance`: the one function that decides what a saga does next. The engine, the tests and simulations all call it.

This module finds the rule for an event. The rules are in two modules: `forward` makes effects, `undo` undoes them.

Some events come too late, for example a reply to an older attempt, or any event after the end. They change nothing.
With retries and recovery, such events are normal and are not errors.
"""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct

from kompensa.model import forward, undo
from kompensa.model.commands import Command, LogEntry
from kompensa.model.definition import Definition
from kompensa.model.draft import Draft
from kompensa.model.events import (
    Accepted,
    CancelAsked,
    Event,
    Probed,
    Recovered,
    Replied,
    ResumeAsked,
    SuspendAsked,
    TimerDue,
)
from kompensa.model.outcomes import Direction
from kompensa.model.saga import Phase, Saga, StepPhase


class Advance(Struct, frozen=True):
    """The next state, the commands to carry out once `durability` allows it, and the lines for the history."""

    saga: Saga
    commands: tuple[Command, ...]
    log: tuple[LogEntry, ...]


def advance(definition: Definition, saga: Saga, event: Event, now: float) -> Advance:
    """Apply an event to a saga, and decide what it does next.

    Parameters
    ----------
    definition
        The revision the saga was accepted with.
    saga
        Its state.
    event
        The event to apply.
    now
        Seconds since the epoch (UTC).

    Returns
    -------
    Advance
        The new state with commands and log. If the event comes too late, the same state with neither.
    """
    if saga.terminal:
        return Advance(saga, (), ())
    draft = Draft(definition, saga, now)
    match event:
        case Replied() if event.direction is Direction.ACTION:
            _action_replied(draft, event)
        case Replied():
            _compensation_replied(draft, event)
        case Probed():
            _probed(draft, event)
        case Accepted():
            _accepted(draft)
        case TimerDue():
            pass  # _go_on finds the attempts and the deadline that are due
        case Recovered():
            _recovered(draft)
        case CancelAsked():
            forward.cancel(draft, event)
        case SuspendAsked():
            _suspend(draft)
        case ResumeAsked():
            _resume(draft)
        case _:
            assert_never(event)
    _go_on(draft)
    if draft.saga is saga and not draft.log and not draft.commands and draft.steps == list(saga.steps):
        return Advance(saga, (), ())
    return Advance(draft.sealed(), tuple(draft.commands), tuple(draft.log))


def _go_on(draft: Draft) -> None:
    """Take the steps that the new state allows. Going forward may end in turning back, so both directions are asked."""
    if draft.saga.phase is Phase.RUNNING:
        forward.go_on(draft)
    if draft.saga.phase is Phase.COMPENSATING:
        undo.go_on(draft)


def _accepted(draft: Draft) -> None:
    if draft.saga.phase is not Phase.PENDING:
        return
    deadline = draft.definition.deadline
    draft.set(phase=Phase.RUNNING, deadline_at=None if deadline is None else draft.now + deadline)
    draft.note("SagaAccepted")


def _action_replied(draft: Draft, event: Replied) -> None:
    step = draft.definition.steps[event.step]
    state = draft.steps[event.step]
    if state.phase is StepPhase.CALLING and state.attempts == event.attempt:
        forward.replied(draft, step, event)


def _compensation_replied(draft: Draft, event: Replied) -> None:
    step = draft.definition.steps[event.step]
    state = draft.steps[event.step]
    if state.phase is StepPhase.UNDOING and state.undo_attempts == event.attempt:
        undo.replied(draft, step, event)


def _probed(draft: Draft, event: Probed) -> None:
    step = draft.definition.steps[event.step]
    state = draft.steps[event.step]
    if state.phase is StepPhase.PROBING and state.attempts == event.attempt:
        forward.probed(draft, step, event)


def _recovered(draft: Draft) -> None:
    """Go on with a saga whose last owner is gone.

    If the saga had turned back, was suspended or was parked, that was written first and no step started since. So only
    a saga that was going forward is marked as replayed.
    """
    draft.note("SagaRecovered")
    if draft.saga.phase is Phase.RUNNING and not draft.saga.stopping and not draft.saga.suspended:
        draft.set(replayed=any(step.keyed for step in draft.definition.steps))
    for step in draft.definition.steps:
        forward.recovered(draft, step)
        undo.recovered(draft, step)


def _suspend(draft: Draft) -> None:
    if not draft.saga.suspended:
        draft.set(suspended=True)
        draft.note("SagaSuspended")


def _resume(draft: Draft) -> None:
    parked = draft.saga.phase is Phase.INTERVENTION_REQUIRED
    if draft.saga.suspended or parked:
        draft.set(suspended=False)
        draft.note("SagaResumed")
    if parked:
        _unpark(draft)


def _unpark(draft: Draft) -> None:
    """Try each parked step again, with a fresh retry budget."""
    if any(state.phase is StepPhase.UNDO_PARKED for state in draft.steps):
        undo.try_again(draft)
        return
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.PARKED:
            draft.set_step(step, phase=StepPhase.RETRYING, due=draft.now, budget_start=state.attempts)
    draft.set(phase=Phase.RUNNING)
