"""`advance`: the one function that decides what a saga does next.

The engine, the tests and whoever simulates a saga all run this function, and nothing else decides. The rules lie in
two files, by direction: `forward` (making effects) and `undo` (taking them back). Here an event finds its rule.

An event that no longer fits (a reply to an older attempt, anything after the end) changes nothing: with retries,
recovery and late replies that is ordinary weather, not an error.
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
    """The next state, what to do once it may be done, and the lines for the history."""

    saga: Saga
    commands: tuple[Command, ...]
    log: tuple[LogEntry, ...]


def advance(definition: Definition, saga: Saga, event: Event, now: float) -> Advance:
    """Decide what `event` means for `saga`.

    Parameters
    ----------
    definition
        The revision the saga was accepted with.
    saga
        Its state.
    event
        What happened.
    now
        Seconds since the epoch (UTC).

    Returns
    -------
    Advance
        The new state with commands and log; the same state, with neither, where the event no longer fits.
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
            pass  # what is due is seen by _go_on, whatever woke it
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
    """Start whatever the new state allows to start."""
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
    """Take up a saga whose last owner is gone.

    Once turned back, or held by a person, nothing new starts: no step can have run unseen since that was written.
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
    """Go back to where it was parked, with a fresh retry budget."""
    if any(state.phase is StepPhase.UNDO_PARKED for state in draft.steps):
        undo.try_again(draft)
        return
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.PARKED:
            draft.set_step(step, phase=StepPhase.RETRYING, due=draft.now, budget_start=state.attempts)
    draft.set(phase=Phase.RUNNING)
