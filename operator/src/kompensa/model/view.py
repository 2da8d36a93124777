"""The saga as users see it: the status of a Saga object, and the same over HTTP.

A view depends only on the state, so it is the same again after a crash.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, assert_never

from msgspec import Struct

from kompensa.model.definition import Definition, Step
from kompensa.model.saga import (
    AT_WORK,
    MAY_HAVE_EFFECT,
    PARKED_STEPS,
    UNFINISHED,
    Activity,
    Phase,
    Saga,
    StepPhase,
    StepState,
    traits_of,
)

SUSPENDED = "Suspended"


class CompensationView(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A step's compensation. `state` is Calling, Retrying, Parked or Succeeded."""

    state: str
    attempts: int
    end_time: str | None = None


class StepView(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A step. `outcome` is that of its action. It stays while the step is undone."""

    name: str
    state: str
    attempts: int = 0
    outcome: str | None = None
    start_time: str | None = None
    end_time: str | None = None
    outputs: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None
    compensation: CompensationView | None = None


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """A condition of a Kubernetes object. The status publisher adds lastTransitionTime, as it knows the last status."""

    type: str
    status: str
    reason: str
    message: str


class SagaView(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One saga. Times are UTC in ISO 8601 with Z."""

    id: str
    namespace: str
    name: str
    definition: str
    revision: str
    phase: str
    progress: str
    start_time: str
    step: str | None = None
    reason: str | None = None
    message: str | None = None
    result: dict[str, Any] | None = None
    completion_time: str | None = None
    steps: tuple[StepView, ...] = ()
    conditions: tuple[Condition, ...] = ()


def view(definition: Definition, saga: Saga) -> SagaView:
    """The saga as users see it."""
    step = _current_step(definition, saga)
    reason, message = _explanation(definition, saga)
    done = sum(1 for state in saga.steps if state.phase is StepPhase.SUCCEEDED or state.undone_at is not None)
    return SagaView(
        id=saga.id,
        namespace=saga.namespace,
        name=saga.name,
        definition=saga.definition,
        revision=saga.revision,
        phase=shown_phase(saga),
        progress=f"{done}/{len(saga.steps)}",
        start_time=timestamp(saga.accepted_at),
        step=None if step is None else step.name,
        reason=reason,
        message=message,
        result=saga.result,
        completion_time=_timestamp(saga.ended_at),
        steps=tuple(_step(step.name, state) for step, state in zip(definition.steps, saga.steps, strict=True)),
        conditions=_conditions(saga, reason, message),
    )


def shown_phase(saga: Saga) -> str:
    """The phase, or Suspended if the saga is suspended and not parked."""
    return SUSPENDED if saga.suspended and saga.phase is not Phase.INTERVENTION_REQUIRED else str(saga.phase)


def timestamp(seconds: float) -> str:
    """UTC with milliseconds, for example 2026-01-31T10:00:00.123Z."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{_to_the_second(whole)}.{milliseconds:03d}Z"


# A view has a dozen times, and most of them are in the same second.
@lru_cache(maxsize=64)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _timestamp(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)


def _parked(definition: Definition, saga: Saga) -> Step | None:
    return next((step for step in definition.steps if saga.steps[step.index].phase in PARKED_STEPS), None)


def _explanation(definition: Definition, saga: Saga) -> tuple[str | None, str | None]:
    """Reason and message of the parked step if there is one, otherwise of the saga."""
    parked = _parked(definition, saga)
    if parked is None:
        return saga.reason, _message(definition, saga)
    state = saga.steps[parked.index]
    return state.reason, f"{parked.name}: {state.message}"


def _message(definition: Definition, saga: Saga) -> str | None:
    """The saga's message. If the saga ended without its effect, it begins as the definition says."""
    if not definition.failure_message or saga.phase not in (Phase.COMPENSATED, Phase.TERMINATED):
        return saga.message
    return ": ".join(filter(None, (definition.failure_message, saga.message)))


def _current_step(definition: Definition, saga: Saga) -> Step | None:
    """The parked step, or else the step at work, or else the one that the reason is about, or else the last started."""
    at_work = (step for step in definition.steps if saga.steps[step.index].phase in AT_WORK)
    current = _parked(definition, saga) or next(at_work, None)
    if current is not None:
        return current
    if saga.cause is not None:
        return definition.steps[saga.cause]
    started = [step for step in definition.steps if saga.steps[step.index].order]
    return max(started, key=lambda step: saga.steps[step.index].order, default=None)


def _step(name: str, state: StepState) -> StepView:
    undo_state = _undo_state(state.phase)
    compensation = None
    if undo_state is not None:
        compensation = CompensationView(
            state=undo_state, attempts=state.undo_attempts, end_time=_timestamp(state.undone_at)
        )
    return StepView(
        name=name,
        state=str(state.phase),
        attempts=state.attempts,
        outcome=None if state.outcome is None else str(state.outcome),
        start_time=_timestamp(state.started_at),
        end_time=_timestamp(state.ended_at),
        outputs=state.outputs,
        reason=state.reason,
        message=state.message,
        compensation=compensation,
    )


def _undo_state(phase: StepPhase) -> str | None:
    """The state of a compensation, in the words for actions. None if the step is not being undone."""
    traits = traits_of(phase)
    if not traits.undoing:
        return None
    match traits.activity:
        case Activity.CALL:
            return "Calling"
        case Activity.BACK_OFF:
            return "Retrying"
        case Activity.PERSON:
            return "Parked"
        case Activity.NONE:
            return "Succeeded"
        case _:
            assert_never(traits.activity)


def _conditions(saga: Saga, reason: str | None, message: str | None) -> tuple[Condition, ...]:
    """Ready, Reconciling and Stalled as kstatus defines them, and three conditions of sagas.

    Ready is True only for Succeeded. Stalled is True if the saga waits for a person or ended without its effect. GitOps
    tools such as Argo CD then show the object as degraded.
    """
    phase = saga.phase
    parked = phase is Phase.INTERVENTION_REQUIRED
    truths: dict[str, bool | None] = {
        "Ready": phase is Phase.SUCCEEDED,
        "Reconciling": phase in UNFINISHED and not saga.suspended,
        "Stalled": parked or phase in (Phase.COMPENSATED, Phase.TERMINATED),
        "Succeeded": phase is Phase.SUCCEEDED if saga.terminal else None,
        "Compensated": phase is Phase.COMPENSATED if saga.terminal else None,
        "InterventionRequired": parked,
    }
    shown_reason, shown_message = reason or shown_phase(saga), message or _sentence(saga)
    return tuple(
        Condition(
            type=kind,
            status="Unknown" if truth is None else str(truth),
            reason=shown_reason,
            message=shown_message,
        )
        for kind, truth in truths.items()
    )


def _sentence(saga: Saga) -> str:
    match saga.phase:
        case Phase.SUCCEEDED:
            return "every step succeeded"
        case Phase.COMPENSATED:
            return "every effect was undone"
        case Phase.COMPENSATING:
            left = sum(1 for step in saga.steps if step.phase in MAY_HAVE_EFFECT)
            return f"{left} effects left to undo"
        case Phase.PENDING | Phase.RUNNING | Phase.INTERVENTION_REQUIRED | Phase.TERMINATED:
            done = sum(1 for step in saga.steps if step.phase is StepPhase.SUCCEEDED)
            return f"{done} of {len(saga.steps)} steps done"
        case _:
            assert_never(saga.phase)
