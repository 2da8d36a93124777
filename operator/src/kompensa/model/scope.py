"""The values that a saga's expressions see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kompensa.model.definition import Definition, Step
from kompensa.model.outcomes import Direction
from kompensa.model.saga import Saga, StepState


def saga_values(saga: Saga) -> dict[str, Any]:
    """The roots `input` and `saga`."""
    return {
        "input": saga.input,
        "saga": {
            "id": saga.id,
            "name": saga.name,
            "namespace": saga.namespace,
            "definition": saga.definition,
        },
    }


def outputs_of_steps(definition: Definition, steps: Sequence[StepState]) -> dict[str, Any]:
    """The root `steps`: outputs by step name, for every step that has some."""
    return {
        step.name: state.outputs
        for step, state in zip(definition.steps, steps, strict=True)
        if state.outputs is not None
    }


def operation_key(saga_id: str, step: Step, direction: Direction) -> str:
    """The idempotency key: the same on every attempt, different for every effect."""
    return f"{saga_id}/{step.name}/{direction}"


def operation_values(saga: Saga, step: Step, direction: Direction) -> dict[str, Any]:
    """The root `operation`. It holds nothing that differs between attempts, so a replay sends the same body."""
    return {"key": operation_key(saga.id, step, direction), "step": step.name, "direction": str(direction)}
