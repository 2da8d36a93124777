"""Making effects: which step starts, what an action's outcome means, and when to turn back.

Turning back is decided at once but begun only when every call under way has an outcome (`stopping`): undoing around
a moving call would be a guess.
"""

from __future__ import annotations

from kompensa.model.definition import Step
from kompensa.model.draft import MESSAGE_LIMIT, Draft
from kompensa.model.events import CancelAsked, Probed, Replied
from kompensa.model.expressions import ExpressionError, Scope
from kompensa.model.outcomes import Outcome
from kompensa.model.policies import interval
from kompensa.model.saga import ACTION_UNDER_WAY, Phase, StepPhase
from kompensa.model.scope import outputs_of_steps, saga_values


def go_on(draft: Draft) -> None:
    """Finish, turn back, or start every step that may start."""
    if all(state.phase is StepPhase.SUCCEEDED for state in draft.steps):
        _succeed(draft)
    elif draft.saga.stopping:
        _turn_back_when_settled(draft)
    elif not draft.saga.suspended:
        _start_what_may_start(draft)


def _start_what_may_start(draft: Draft) -> None:
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.WAITING:
            if all(draft.steps[i].phase is StepPhase.SUCCEEDED for i in step.depends_on):
                draft.call_action(step)
        elif state.phase is StepPhase.RETRYING and state.due is not None and state.due <= draft.now:
            draft.call_action(step)


def _succeed(draft: Draft) -> None:
    try:
        scope = Scope({**saga_values(draft.saga), "steps": outputs_of_steps(draft.definition, draft.steps)})
        result = {name: template.render(scope) for name, template in draft.definition.result.items()}
        draft.finish(Phase.SUCCEEDED, result=result or None)
    except ExpressionError as error:
        # Every effect is there: a result that cannot be told is no reason to undo them.
        draft.finish(Phase.SUCCEEDED, reason="ResultUnavailable", message=str(error)[:MESSAGE_LIMIT])


def _turn_back_when_settled(draft: Draft) -> None:
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.RETRYING:  # its outcome is unknown and will not be asked again
            draft.set_step(step, phase=StepPhase.UNKNOWN, due=None)
    if not any(state.phase in ACTION_UNDER_WAY for state in draft.steps):
        draft.set(phase=Phase.COMPENSATING, stopping=False, deadline_at=None)
        draft.note("SagaCompensating", reason=draft.saga.reason, message=draft.saga.message)


def stop(draft: Draft, step: Step | None, *, reason: str, message: str) -> None:
    """Decide to undo. The first cause is the one people are shown."""
    if draft.saga.stopping:
        return
    text = f"{step.name}: {message}" if step else message
    draft.set(stopping=True, cause=step.index if step else None, reason=reason, message=text[:MESSAGE_LIMIT])


def beyond_return(draft: Draft) -> bool:
    """Whether a Retriable step has been started: from there a saga only goes forward."""
    return any(
        step.retriable and draft.steps[step.index].phase is not StepPhase.WAITING for step in draft.definition.steps
    )


def cancel(draft: Draft, event: CancelAsked) -> None:
    """Undo on request, where that is still possible."""
    if draft.saga.phase is Phase.COMPENSATING or draft.saga.stopping:
        return
    parked_undoing = any(state.phase is StepPhase.UNDO_PARKED for state in draft.steps)
    if beyond_return(draft) or parked_undoing:
        draft.note("CancelRefused", reason="BeyondReturn", message="a step that cannot be undone has been started")
        return
    draft.note("CancelAsked", reason=event.reason, message=event.message)
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.PARKED:
            draft.set_step(step, phase=StepPhase.UNKNOWN if state.maybe else StepPhase.FAILED)
    draft.set(phase=Phase.RUNNING, suspended=False)
    stop(draft, None, reason=event.reason, message=event.message)


def deadline_passed(draft: Draft) -> None:
    """Before the point of no return: undo. Beyond it: tell, once, and go on."""
    draft.set(deadline_at=None)
    message = f"not finished within {draft.definition.deadline:g} s"
    draft.note("DeadlinePassed", reason="DeadlineExceeded", message=message)
    if not beyond_return(draft):
        draft.set(suspended=False)
        stop(draft, None, reason="DeadlineExceeded", message=message)


def replied(draft: Draft, step: Step, event: Replied) -> None:
    """What an action's outcome means."""
    match event.outcome:
        case Outcome.SUCCEEDED:
            _succeeded(draft, step, event.reply or {})
        case Outcome.FAILED:
            _failed(draft, step, reason=event.reason, message=event.message)
        case Outcome.MISCONFIGURED:
            _misconfigured(draft, step, reason=event.reason, message=event.message)
        case _:
            _unknown(draft, step, event)


def probed(draft: Draft, step: Step, event: Probed) -> None:
    """What the participant says became of an action whose outcome was unknown."""
    match event.outcome:
        case Outcome.SUCCEEDED:
            _succeeded(draft, step, event.reply or {})
        case Outcome.FAILED:
            _failed(draft, step, reason="RefusedByProbe", message="the participant kept nothing of the action")
        case _:
            _give_up(draft, step)


def _succeeded(draft: Draft, step: Step, reply: dict[str, object]) -> None:
    try:
        scope = Scope({**saga_values(draft.saga), "reply": reply})
        outputs = {name: template.render(scope) for name, template in step.outputs.items()}
    except ExpressionError as error:
        message = f"the reply lacks what the step's outputs name: {error}"
        draft.set_step(step, maybe=True)
        _cannot_be_completed(draft, step, reason="OutputsMissing", message=message)
        return
    draft.set_step(
        step,
        phase=StepPhase.SUCCEEDED,
        outputs=outputs or None,
        ended_at=draft.now,
        due=None,
        reason=None,
        message=None,
    )
    draft.note("StepSucceeded", step, attempt=draft.steps[step.index].attempts)


def _failed(draft: Draft, step: Step, *, reason: str | None, message: str | None) -> None:
    reason, message = reason or "Refused", message or "the participant refused"
    if step.retriable:
        text = f"a Retriable step must not be refused: {message}"
        draft.park(step, StepPhase.PARKED, reason=reason, message=text)
        return
    draft.set_step(
        step, phase=StepPhase.FAILED, ended_at=draft.now, due=None, reason=reason, message=message[:MESSAGE_LIMIT]
    )
    draft.note("StepFailed", step, attempt=draft.steps[step.index].attempts, reason=reason, message=message)
    stop(draft, step, reason=reason, message=message)


def _misconfigured(draft: Draft, step: Step, *, reason: str | None, message: str | None) -> None:
    reason, message = reason or "Misconfigured", message or "the call itself was refused"
    if draft.saga.stopping:
        # Already turning back: an attempt that was never taken up has no effect, an earlier one may have.
        phase = StepPhase.UNKNOWN if draft.steps[step.index].maybe else StepPhase.FAILED
        draft.set_step(step, phase=phase, ended_at=draft.now, reason=reason, message=message[:MESSAGE_LIMIT])
        return
    draft.park(step, StepPhase.PARKED, reason=reason, message=message)


def _unknown(draft: Draft, step: Step, event: Replied) -> None:
    state = draft.set_step(
        step, maybe=True, reason=event.reason or "Unknown", message=(event.message or "no answer")[:MESSAGE_LIMIT]
    )
    draft.note("StepUnknown", step, attempt=state.attempts, reason=state.reason, message=state.message)
    wait = interval(
        step.retry_policy,
        seed=f"{draft.saga.id}/{step.name}",
        attempt=state.attempts - state.budget_start,
        at_least=event.retry_after,
    )
    spent = state.attempts - state.budget_start >= step.retry_policy.maximum_attempts
    started = draft.now if state.started_at is None else state.started_at
    late = (
        step.total_timeout is not None and state.budget_start == 0 and draft.now + wait > started + step.total_timeout
    )
    if not (spent or late or draft.saga.stopping):
        draft.set_step(step, phase=StepPhase.RETRYING, due=draft.now + wait)
    elif step.probe is not None:
        draft.call_probe(step)
    else:
        _give_up(draft, step)


def _give_up(draft: Draft, step: Step) -> None:
    state = draft.steps[step.index]
    message = f"no outcome after {state.attempts} attempts: {state.message}"
    _cannot_be_completed(draft, step, reason="OutcomeUnknown", message=message)


def _cannot_be_completed(draft: Draft, step: Step, *, reason: str, message: str) -> None:
    """The action may have had its effect: undo it with the rest, or park where nothing can be undone."""
    if step.retriable:
        draft.park(step, StepPhase.PARKED, reason=reason, message=message)
        return
    draft.set_step(
        step, phase=StepPhase.UNKNOWN, ended_at=draft.now, due=None, reason=reason, message=message[:MESSAGE_LIMIT]
    )
    draft.note("StepGivenUp", step, attempt=draft.steps[step.index].attempts, reason=reason, message=message)
    stop(draft, step, reason=reason, message=message)
