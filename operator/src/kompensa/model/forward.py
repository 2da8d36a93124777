"""Making effects: which step starts, what an action's outcome means, and when to turn back.

Turning back is decided at once but begun only when every call under way has an outcome (`stopping`): undoing around
a moving call would be a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from kompensa.model import undo
from kompensa.model.definition import Definition, Step
from kompensa.model.draft import Draft, clipped
from kompensa.model.events import CancelAsked, Probed, Replied
from kompensa.model.expressions import ExpressionError
from kompensa.model.outcomes import Outcome
from kompensa.model.policies import interval
from kompensa.model.saga import ACTION_UNDER_WAY, TO_BE_TRIED, Phase, StepPhase, StepState
from kompensa.model.scope import outputs_of_reply, result_of_saga


def go_on(draft: Draft) -> None:
    """Finish, turn back, or start every step that may start."""
    if not draft.saga.stopping and all_succeeded(draft.steps):
        _succeed(draft)
        return
    _mind_the_deadline(draft)
    if draft.saga.stopping:
        _turn_back_when_settled(draft)
    elif not draft.saga.suspended:
        _start_what_may_start(draft)


def _start_what_may_start(draft: Draft) -> None:
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.WAITING:
            if all_succeeded([draft.steps[i] for i in step.depends_on]):
                draft.call_action(step)
        elif state.phase is StepPhase.RETRYING and state.due is not None and state.due <= draft.now:
            draft.call_action(step)


def all_succeeded(steps: Sequence[StepState]) -> bool:
    """Whether an effect of each of them is there."""
    for state in steps:  # a generator would cost a tenth of the whole transition
        if state.phase is not StepPhase.SUCCEEDED:
            return False
    return True


def _succeed(draft: Draft) -> None:
    try:
        draft.finish(Phase.SUCCEEDED, result=result_of_saga(draft.definition, draft.saga, draft.steps))
    except ExpressionError as error:
        # Every effect is there: a result that cannot be told is no reason to undo them.
        draft.finish(Phase.SUCCEEDED, reason="ResultUnavailable", message=clipped(str(error)))


def _turn_back_when_settled(draft: Draft) -> None:
    if not any(state.phase in ACTION_UNDER_WAY for state in draft.steps):
        draft.set(phase=Phase.COMPENSATING, stopping=False, deadline_at=None)
        draft.note("SagaCompensating", reason=draft.saga.reason, message=draft.saga.message)


def _mind_the_deadline(draft: Draft) -> None:
    """Before the point of no return: undo. Beyond it: tell, once, and go on.

    A saga that a person holds is left alone: if its time has run out by then, that is seen when it is resumed.
    """
    deadline = draft.saga.deadline_at
    if deadline is None or draft.now < deadline or draft.saga.suspended or draft.saga.stopping:
        return
    draft.set(deadline_at=None)
    message = f"not finished within {draft.definition.deadline:g} s"
    draft.note("DeadlinePassed", reason="DeadlineExceeded", message=message)
    if not beyond_return(draft.definition, draft.steps):
        stop(draft, None, reason="DeadlineExceeded", message=message)


def beyond_return(definition: Definition, steps: Sequence[StepState]) -> bool:
    """Whether a Retriable step has been started: from there a saga only goes forward."""
    return any(step.retriable and steps[step.index].phase is not StepPhase.WAITING for step in definition.steps)


def stop(draft: Draft, step: Step | None, *, reason: str, message: str) -> None:
    """Decide to undo. The first cause is the one people are shown; nothing is tried again from here on."""
    if draft.saga.stopping:
        return
    text = f"{step.name}: {message}" if step else message
    draft.set(
        phase=Phase.RUNNING,
        stopping=True,
        cause=step.index if step else None,
        reason=reason,
        message=clipped(text),
    )
    for other in draft.definition.steps:
        state = draft.steps[other.index]
        if state.phase in TO_BE_TRIED and state.maybe:
            _ask_or_give_up(draft, other)
        elif state.phase in TO_BE_TRIED:
            draft.set_step(other, phase=StepPhase.FAILED, ended_at=draft.now, due=None)


def cancel(draft: Draft, event: CancelAsked) -> None:
    """Undo on request, where that is still possible. Who asks for undoing wants calls made: suspension ends.

    So does waiting for a person: a compensation that is parked is tried again, as `resume` does.
    """
    if beyond_return(draft.definition, draft.steps):
        draft.note("CancelRefused", reason="BeyondReturn", message="a step that cannot be undone has been started")
        return
    draft.note("CancelAsked", reason=event.reason, message=event.message)
    draft.set(suspended=False)
    if any(state.phase is StepPhase.UNDO_PARKED for state in draft.steps):
        undo.try_again(draft)
    elif draft.saga.phase is not Phase.COMPENSATING:
        stop(draft, None, reason=event.reason, message=event.message)


def recovered(draft: Draft, step: Step) -> None:
    """What was under way when the owner died may have been called, and its outcome is unknown.

    A participant that keeps replies by key is simply asked again. To any other one the retry policy applies: with one
    attempt allowed, a crash must not make it two.

    The retry of a keyed step is not written before it is sent. So a step that waits for its next attempt may have made
    it already, in the life before.
    """
    state = draft.steps[step.index]
    if state.phase is StepPhase.RETRYING and draft.saga.replayed and step.keyed:
        draft.set_step(step, maybe=True)
    elif state.phase is StepPhase.PROBING:
        draft.call_probe(step)
    elif state.phase is StepPhase.CALLING and step.keyed and not draft.saga.stopping:
        draft.set_step(step, phase=StepPhase.RETRYING, maybe=True, due=draft.now)
    elif state.phase is StepPhase.CALLING:
        _unknown(draft, step, reason="Interrupted", message="the engine stopped before the reply", at_least=0.0)


def replied(draft: Draft, step: Step, event: Replied) -> None:
    """What an action's outcome means."""
    match event.outcome:
        case Outcome.SUCCEEDED:
            _succeeded(draft, step, event)
        case Outcome.FAILED:
            proven = not draft.steps[step.index].maybe
            message = event.message or "the participant refused"
            _failed(draft, step, reason=event.reason or "Refused", message=message, proven=proven)
        case Outcome.MISCONFIGURED:
            _misconfigured(draft, step, event)
        case Outcome.UNKNOWN | Outcome.NOT_SENT | Outcome.ABSENT:
            _unknown(
                draft,
                step,
                reason=event.reason or "Unknown",
                message=event.message or "no answer",
                at_least=event.retry_after,
                sent=event.outcome is not Outcome.NOT_SENT,
            )
        case _:
            assert_never(event.outcome)


def probed(draft: Draft, step: Step, event: Probed) -> None:
    """What the participant says became of an action whose outcome was unknown.

    Absent is no proof: the request may still be on its way. Compensating leaves a tombstone that will refuse it. Failed
    is one where the participant keeps replies by key: it speaks of all attempts, and of those still on their way.
    """
    match event.outcome:
        case Outcome.SUCCEEDED:
            _succeeded(draft, step, event)
        case Outcome.FAILED:
            message = event.message or "the participant kept nothing of the action"
            _failed(draft, step, reason=event.reason or "RefusedByProbe", message=message, proven=step.keyed)
        case Outcome.UNKNOWN | Outcome.MISCONFIGURED | Outcome.NOT_SENT | Outcome.ABSENT:
            _give_up(draft, step, said_by_probe=event.message)
        case _:
            assert_never(event.outcome)


def _succeeded(draft: Draft, step: Step, event: Replied | Probed) -> None:
    """The effect is there. `event.message`, if any, says why its reply is no JSON object."""
    try:
        outputs = outputs_of_reply(draft.saga, step, event.reply or {})
    except ExpressionError as error:
        draft.set_step(step, maybe=True)
        message = f"the reply does not fit: {event.message or error}"
        _cannot_be_completed(draft, step, reason="OutputsMissing", message=message)
        return
    draft.set_step(
        step,
        phase=StepPhase.SUCCEEDED,
        outcome=Outcome.SUCCEEDED,
        outputs=outputs,
        ended_at=draft.now,
        due=None,
        reason=None,
        message=None,
    )
    draft.note("StepSucceeded", step, attempt=draft.steps[step.index].attempts)


def _failed(draft: Draft, step: Step, *, reason: str, message: str, proven: bool) -> None:
    """A refusal proves that nothing was kept, unless an attempt before it may have had its effect unseen.

    It may be refused because of that attempt: as "already exists", or by a participant that compares the bodies sent
    under one key and finds, rightly or not, that this one differs. Undoing what is not there costs one call.
    """
    state = draft.steps[step.index]
    if step.retriable:
        draft.park(step, StepPhase.PARKED, reason=reason, message=f"a Retriable step must not be refused: {message}")
        return
    draft.set_step(
        step,
        phase=StepPhase.FAILED if proven else StepPhase.UNKNOWN,
        outcome=Outcome.FAILED if proven else Outcome.UNKNOWN,
        ended_at=draft.now,
        due=None,
        reason=reason,
        message=clipped(message),
    )
    draft.note("StepFailed", step, attempt=state.attempts, reason=reason, message=message)
    stop(draft, step, reason=reason, message=message)


def _misconfigured(draft: Draft, step: Step, event: Replied) -> None:
    reason, message = event.reason or "Misconfigured", event.message or "the call itself was refused"
    if not draft.saga.stopping:
        draft.set_step(step, outcome=Outcome.MISCONFIGURED)
        draft.park(step, StepPhase.PARKED, reason=reason, message=message)
    elif draft.steps[step.index].maybe:
        _give_up(draft, step)
    else:
        _failed(draft, step, reason=reason, message=message, proven=True)  # not taken up, and it was the only attempt


def _unknown(draft: Draft, step: Step, *, reason: str, message: str, at_least: float, sent: bool = True) -> None:
    """Try again if the policy allows it. Only a call that was sent may have had an effect."""
    maybe = sent or draft.steps[step.index].maybe
    outcome = Outcome.UNKNOWN if maybe else Outcome.NOT_SENT
    state = draft.set_step(step, maybe=maybe, outcome=outcome, reason=reason, message=clipped(message))
    kind = "StepUnknown" if sent else "StepNotSent"
    draft.note(kind, step, attempt=state.attempts, reason=reason, message=message)
    wait = interval(
        step.retry_policy,
        seed=f"{draft.saga.id}/{step.name}",
        attempt=state.attempts - state.budget_start,
        at_least=at_least,
    )
    if draft.saga.stopping or _budget_is_spent(step, state, at=draft.now + wait):
        _ask_or_give_up(draft, step)
    else:
        draft.set_step(step, phase=StepPhase.RETRYING, due=draft.now + wait)


def _budget_is_spent(step: Step, state: StepState, *, at: float) -> bool:
    """No attempt left, or none that would start within the step's total time-out."""
    if state.attempts - state.budget_start >= step.retry_policy.maximum_attempts:
        return True
    if step.total_timeout is None or state.started_at is None or state.budget_start > 0:
        return False  # who resumes a parked step gives it another chance, however late it is
    return at > state.started_at + step.total_timeout


def _ask_or_give_up(draft: Draft, step: Step) -> None:
    if not draft.steps[step.index].maybe:
        _never_sent(draft, step)
    elif step.probe is not None:
        draft.call_probe(step)
    else:
        _give_up(draft, step)


def _never_sent(draft: Draft, step: Step) -> None:
    """No attempt, of any life, left this engine: there is nothing to undo."""
    state = draft.steps[step.index]
    message = f"not sent in {state.attempts} attempts: {state.message}"
    _cannot_be_completed(draft, step, reason=state.reason or "NotSent", message=message, effect=False)


def _give_up(draft: Draft, step: Step, *, said_by_probe: str | None = None) -> None:
    state = draft.steps[step.index]
    message = f"no outcome after {state.attempts} attempts: {state.message or 'no answer'}"
    if said_by_probe:
        message += f"; the probe: {said_by_probe}"
    _cannot_be_completed(draft, step, reason="OutcomeUnknown", message=message)


def _cannot_be_completed(draft: Draft, step: Step, *, reason: str, message: str, effect: bool = True) -> None:
    """Turn back, or park a step that cannot be undone. If the action may have had its effect, it is undone too."""
    if step.retriable:
        draft.park(step, StepPhase.PARKED, reason=reason, message=message)
        return
    draft.set_step(
        step,
        phase=StepPhase.UNKNOWN if effect else StepPhase.FAILED,
        outcome=Outcome.UNKNOWN if effect else Outcome.NOT_SENT,
        ended_at=draft.now,
        due=None,
        reason=reason,
        message=clipped(message),
    )
    draft.note("StepGivenUp", step, attempt=draft.steps[step.index].attempts, reason=reason, message=message)
    stop(draft, step, reason=reason, message=message)
