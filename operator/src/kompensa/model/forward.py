"""The rules for making effects: which step starts, what an action's outcome means, and when the saga turns back.

The decision to turn back takes effect in two stages. `stopping` is set immediately, and no new step starts.
Compensation begins when no call is under way any more, since a call with no outcome yet cannot be undone safely.
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
    """Finish, turn back, or start every step that is ready."""
    if not draft.saga.stopping and all_succeeded(draft.steps):
        _succeed(draft)
        return
    _check_deadline(draft)
    if draft.saga.stopping:
        _turn_back_when_settled(draft)
    elif not draft.saga.suspended:
        _start_ready_steps(draft)


def _start_ready_steps(draft: Draft) -> None:
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.WAITING:
            if all_succeeded([draft.steps[i] for i in step.depends_on]):
                draft.call_action(step)
        elif state.phase is StepPhase.RETRYING and state.due is not None and state.due <= draft.now:
            draft.call_action(step)


def all_succeeded(steps: Sequence[StepState]) -> bool:
    """Whether each of the steps succeeded."""
    for state in steps:  # all() with a generator would cost a tenth of the whole transition
        if state.phase is not StepPhase.SUCCEEDED:
            return False
    return True


def _succeed(draft: Draft) -> None:
    try:
        draft.finish(Phase.SUCCEEDED, result=result_of_saga(draft.definition, draft.saga, draft.steps))
    except ExpressionError as error:
        # Every effect is there. A result that cannot be computed is not a reason to undo them.
        draft.finish(Phase.SUCCEEDED, reason="ResultUnavailable", message=clipped(str(error)))


def _turn_back_when_settled(draft: Draft) -> None:
    if not any(state.phase in ACTION_UNDER_WAY for state in draft.steps):
        draft.set(phase=Phase.COMPENSATING, stopping=False, deadline_at=None)
        draft.note("SagaCompensating", reason=draft.saga.reason, message=draft.saga.message)


def _check_deadline(draft: Draft) -> None:
    """If the deadline has passed, note it once. Before the point of no return, also decide to undo.

    A suspended saga is left alone. When it is resumed, its deadline is checked again.
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
    """Whether a Retriable step has been started. From then on, the saga only goes forward."""
    return any(step.retriable and steps[step.index].phase is not StepPhase.WAITING for step in definition.steps)


def stop(draft: Draft, step: Step | None, *, reason: str, message: str) -> None:
    """Decide to undo. From now on no action is repeated. Only the first cause is recorded, and users see that one."""
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
    """Undo on request, if that is still possible.

    Undoing needs calls. So the request ends a suspension, and a parked compensation is tried again as by `resume`.
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
    """Go on with a step that was under way when the last owner died. Its call may have been made.

    If the participant stores replies by key, it is called again. Otherwise the retry policy decides: if it allows one
    attempt, a crash must not lead to a second one.

    The retry of a keyed step is not written before it is sent. So a step that waits for its next attempt may already
    have made it before the crash.
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
    """Apply the outcome of an action."""
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
    """Apply the answer to a probe, about an action whose outcome was unknown.

    Absent does not prove that there is no effect: the request may still be on its way. The compensation leaves a
    tombstone that refuses it. Failed is a proof if the participant stores replies by key. The stored reply is then the
    answer to all attempts, even to those that are still on their way.
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
    """Record that the effect is there. `event.message`, if any, says why the reply is not a JSON object."""
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
    """Turn back after a refusal. A Retriable step cannot turn back, so it is parked.

    `proven`: no earlier attempt can have had an effect. Otherwise the refusal may be a consequence of that effect, for
    example "already exists". Or the participant compared the bodies of two attempts and found a difference. Then the
    step is compensated too, which costs one call if there is nothing to undo.
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
        _failed(draft, step, reason=reason, message=message, proven=True)  # rejected, and it was the only attempt


def _unknown(draft: Draft, step: Step, *, reason: str, message: str, at_least: float, sent: bool = True) -> None:
    """Try again if the retry policy allows it. `sent`: the call was sent, so it may have had an effect."""
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
    """Whether no attempt is left, or the next one would start after the step's total time-out."""
    if state.attempts - state.budget_start >= step.retry_policy.maximum_attempts:
        return True
    if step.total_timeout is None or state.started_at is None or state.budget_start > 0:
        return False  # a person resumed the parked step, which allows new attempts even after the time-out
    return at > state.started_at + step.total_timeout


def _ask_or_give_up(draft: Draft, step: Step) -> None:
    if not draft.steps[step.index].maybe:
        _never_sent(draft, step)
    elif step.probe is not None:
        draft.call_probe(step)
    else:
        _give_up(draft, step)


def _never_sent(draft: Draft, step: Step) -> None:
    """Give up on a step of which no attempt was sent, before or after a crash. There is nothing to undo."""
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
    """Turn back, or park a step that cannot be undone. `effect`: the action may have had its effect, so undo it too."""
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
