"""The rules for undoing effects: one compensation at a time, in reverse order of the steps' first attempts.

These steps are undone:

- each step that succeeded,
- each step whose outcome stayed unknown,
- after a recovery under lazy journalling, each step that may have run before the crash although the journal shows it
  as waiting.

A step is not undone if its first attempt was refused, or if no attempt was sent. Attempts before a crash count.
"""

from __future__ import annotations

from typing import assert_never

from kompensa.model.definition import Step
from kompensa.model.draft import Draft, clipped
from kompensa.model.events import Replied
from kompensa.model.outcomes import Outcome
from kompensa.model.policies import interval
from kompensa.model.saga import MAY_HAVE_EFFECT, UNDO_UNDER_WAY, Phase, StepPhase


def go_on(draft: Draft) -> None:
    """Undo the next step, or end the saga if no effect is left."""
    if draft.saga.suspended:
        return
    current = next((s for s in draft.definition.steps if draft.steps[s.index].phase in UNDO_UNDER_WAY), None)
    if current is not None:
        state = draft.steps[current.index]
        if state.phase is StepPhase.UNDO_RETRYING and state.due is not None and state.due <= draft.now:
            draft.call_compensation(current)
        return
    following = next_to_undo(draft)
    if following is None:
        draft.finish(Phase.COMPENSATED)
    else:
        draft.call_compensation(following)


def next_to_undo(draft: Draft) -> Step | None:
    """The step with the latest first attempt among those that may have an effect."""
    candidates = [step for step in draft.definition.steps if may_have_effect(draft, step)]
    return max(candidates, key=lambda step: _effect_order(draft, step), default=None)


def may_have_effect(draft: Draft, step: Step) -> bool:
    """Whether an effect of the step may be there.

    A waiting step may have run before a crash, but only if all steps that it depends on may have succeeded.
    """
    phase = draft.steps[step.index].phase
    if phase is not StepPhase.WAITING:
        return phase in MAY_HAVE_EFFECT
    if not (draft.saga.replayed and step.keyed) or step.retriable:
        return False
    return all(may_have_effect(draft, draft.definition.steps[i]) for i in step.depends_on)


def _effect_order(draft: Draft, step: Step) -> tuple[int, int, int]:
    """A key to sort by. Steps that may have run before a crash are undone first.

    Steps that were attempted after the crash cannot depend on them.
    """
    order = draft.steps[step.index].order
    return (order if order else len(draft.steps) + 1, step.depth, step.index)


def try_again(draft: Draft) -> None:
    """Call the parked compensation again, with a fresh retry budget."""
    for step in draft.definition.steps:
        state = draft.steps[step.index]
        if state.phase is StepPhase.UNDO_PARKED:
            draft.set_step(step, phase=StepPhase.UNDO_RETRYING, due=draft.now, undo_budget_start=state.undo_attempts)
    draft.set(phase=Phase.COMPENSATING)


def recovered(draft: Draft, step: Step) -> None:
    """Go on with a compensation that was under way when the last owner died. Its call may have been made.

    If the participant stores replies by key, it is called again. Otherwise the retry policy decides.
    """
    if draft.steps[step.index].phase is not StepPhase.UNDOING:
        return
    if step.keyed:
        draft.set_step(step, phase=StepPhase.UNDO_RETRYING, due=draft.now)
    else:
        _unknown(draft, step, reason="Interrupted", message="the engine stopped before the reply", at_least=0.0)


def replied(draft: Draft, step: Step, event: Replied) -> None:
    """Apply the outcome of a compensation."""
    match event.outcome:
        case Outcome.SUCCEEDED:
            draft.set_step(step, phase=StepPhase.UNDONE, undone_at=draft.now, due=None)
            draft.note("StepCompensated", step, attempt=draft.steps[step.index].undo_attempts)
        case Outcome.FAILED | Outcome.MISCONFIGURED:
            message = f"the compensation was refused: {event.message or event.outcome}"
            draft.park(step, StepPhase.UNDO_PARKED, reason=event.reason or "CompensationRefused", message=message)
        case Outcome.UNKNOWN | Outcome.NOT_SENT | Outcome.ABSENT:
            _unknown(
                draft,
                step,
                reason=event.reason or "Unknown",
                message=event.message or "no answer",
                at_least=event.retry_after,
            )
        case _:
            assert_never(event.outcome)


def _unknown(draft: Draft, step: Step, *, reason: str, message: str, at_least: float) -> None:
    state = draft.steps[step.index]
    draft.note("CompensationUnknown", step, attempt=state.undo_attempts, reason=reason, message=message)
    used = state.undo_attempts - state.undo_budget_start
    if used >= step.compensation_policy.maximum_attempts:
        text = f"not compensated after {state.undo_attempts} attempts: {message}"
        draft.park(step, StepPhase.UNDO_PARKED, reason="CompensationExhausted", message=text)
        return
    wait = interval(step.compensation_policy, seed=f"{draft.saga.id}/{step.name}/undo", attempt=used, at_least=at_least)
    draft.set_step(step, phase=StepPhase.UNDO_RETRYING, due=draft.now + wait, message=clipped(message))
