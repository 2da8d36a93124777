"""What people see of a saga: the status of a Saga object, and the same over HTTP.

Built from the state alone, so that it can be built again after any crash.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from kompensa.model.definition import Definition
from kompensa.model.saga import MAY_HAVE_EFFECT, Phase, Saga, StepPhase, StepState

SUSPENDED = "Suspended"


class CompensationView(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    state: str
    attempts: int
    end_time: str | None = None


class StepView(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    name: str
    state: str
    attempts: int = 0
    start_time: str | None = None
    end_time: str | None = None
    outputs: dict[str, Any] | None = None
    reason: str | None = None
    message: str | None = None
    compensation: CompensationView | None = None


class Condition(Struct, frozen=True, kw_only=True, rename="camel"):
    """In the Kubernetes form, but for lastTransitionTime, which belongs to whoever compares with what was before."""

    type: str
    status: str
    reason: str
    message: str


class SagaView(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One saga as it is shown. Times are UTC, ISO 8601 with Z."""

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
    """The saga as people see it."""
    done = sum(1 for step in saga.steps if step.phase is StepPhase.SUCCEEDED or step.undone_at is not None)
    return SagaView(
        id=saga.id,
        namespace=saga.namespace,
        name=saga.name,
        definition=saga.definition,
        revision=saga.revision,
        phase=shown_phase(saga),
        progress=f"{done}/{len(saga.steps)}",
        start_time=timestamp(saga.accepted_at),
        step=_current_step(definition, saga),
        reason=saga.reason,
        message=saga.message,
        result=saga.result,
        completion_time=None if saga.ended_at is None else timestamp(saga.ended_at),
        steps=tuple(_step(step.name, state) for step, state in zip(definition.steps, saga.steps, strict=True)),
        conditions=conditions(saga),
    )


def shown_phase(saga: Saga) -> str:
    """The phase, or Suspended while a person holds it."""
    return SUSPENDED if saga.suspended else str(saga.phase)


def timestamp(seconds: float) -> str:
    """UTC with milliseconds, e.g. 2026-01-31T10:00:00.123Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _current_step(definition: Definition, saga: Saga) -> str | None:
    """Where it is now; once ended, the step that the reason is about, or the last one."""
    if saga.cause is not None and saga.phase is not Phase.COMPENSATING:
        return definition.steps[saga.cause].name
    resting = {StepPhase.WAITING, StepPhase.SUCCEEDED, StepPhase.UNDONE, StepPhase.FAILED, StepPhase.UNKNOWN}
    for step, state in zip(definition.steps, saga.steps, strict=True):
        if state.phase not in resting:
            return step.name
    touched = [s for s, state in zip(definition.steps, saga.steps, strict=True) if state.order]
    return max(touched, key=lambda s: saga.steps[s.index].order).name if touched else None


def _step(name: str, state: StepState) -> StepView:
    undo_states = {StepPhase.UNDOING, StepPhase.UNDO_RETRYING, StepPhase.UNDONE, StepPhase.UNDO_PARKED}
    undoing = state.phase in undo_states
    return StepView(
        name=name,
        state=str(state.phase),
        attempts=state.attempts,
        start_time=None if state.started_at is None else timestamp(state.started_at),
        end_time=None if state.ended_at is None else timestamp(state.ended_at),
        outputs=state.outputs,
        reason=state.reason,
        message=state.message,
        compensation=CompensationView(
            state=str(state.phase),
            attempts=state.undo_attempts,
            end_time=None if state.undone_at is None else timestamp(state.undone_at),
        )
        if undoing
        else None,
    )


def conditions(saga: Saga) -> tuple[Condition, ...]:
    """Ready, Reconciling and Stalled as kstatus reads them, and the saga's own three.

    Ready is True only for Succeeded; Stalled is True where nothing will move without a person or where the saga
    ended without its effect, so that a GitOps tool turns red.
    """
    phase = saga.phase
    reason = saga.reason or shown_phase(saga)
    message = saga.message or _sentence(saga)
    moving = phase in (Phase.PENDING, Phase.RUNNING, Phase.COMPENSATING) and not saga.suspended
    undone = phase in (Phase.COMPENSATED, Phase.TERMINATED)
    parked = phase is Phase.INTERVENTION_REQUIRED

    def condition(kind: str, holds: bool | None) -> Condition:
        status = "Unknown" if holds is None else str(bool(holds))
        return Condition(type=kind, status=status, reason=reason, message=message)

    ended = saga.terminal
    return (
        condition("Ready", phase is Phase.SUCCEEDED),
        condition("Reconciling", moving),
        condition("Stalled", parked or undone),
        condition("Succeeded", phase is Phase.SUCCEEDED if ended else None),
        condition("Compensated", phase is Phase.COMPENSATED if ended else None),
        condition("InterventionRequired", parked),
    )


def _sentence(saga: Saga) -> str:
    done = sum(1 for step in saga.steps if step.phase is StepPhase.SUCCEEDED)
    left = sum(1 for step in saga.steps if step.phase in MAY_HAVE_EFFECT)
    match saga.phase:
        case Phase.SUCCEEDED:
            return "every step succeeded"
        case Phase.COMPENSATED:
            return "every effect was undone"
        case Phase.COMPENSATING:
            return f"{left} effects left to undo"
        case _:
            return f"{done} of {len(saga.steps)} steps done"
