"""The values that a saga's expressions see, and the results of expressions: outputs, result and fields of log lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kompensa.model.bounds import DEEPEST, is_deeper
from kompensa.model.definition import Definition, Step
from kompensa.model.encoding import encoded_json
from kompensa.model.expressions import ExpressionError, Scope, Template, spelled
from kompensa.model.outcomes import Direction
from kompensa.model.saga import Saga, StepState

OUTPUTS_LIMIT = 64 * 1024
"""Bytes of one step's outputs, or of a result, as JSON. Each commit writes them again with the saga's row."""

LOGGED_CHARACTERS = 200
"""Of one value in a log line."""


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
    """The root `steps`: the outputs of each step that has some, by the step's name."""
    return {step.name: steps[step.index].outputs for step in definition.steps if steps[step.index].outputs is not None}


def operation_key(saga_id: str, step: Step, direction: Direction) -> str:
    """The idempotency key. It is the same for all attempts, and different for each effect."""
    return f"{saga_id}/{step.name}/{direction}"


def operation_values(saga: Saga, step: Step, direction: Direction) -> dict[str, Any]:
    """The root `operation`. It has nothing that differs between attempts, since all attempts send the same body."""
    return {"key": operation_key(saga.id, step, direction), "step": step.name, "direction": str(direction)}


def outputs_of_reply(saga: Saga, step: Step, reply: Mapping[str, Any]) -> dict[str, Any] | None:
    """The step's outputs, computed from a reply; None if it declares none.

    Raises
    ------
    ExpressionError
        The reply lacks a value, or the outputs are too large.
    """
    if not step.outputs:
        return None
    return _rendered(step.outputs, Scope({**saga_values(saga), "reply": reply}))


def result_of_saga(definition: Definition, saga: Saga, steps: Sequence[StepState]) -> dict[str, Any] | None:
    """The result of the saga, computed from the outputs of its steps; None if the definition declares none.

    Raises
    ------
    ExpressionError
        An output is missing, or the result is too large.
    """
    if not definition.result:
        return None
    return _rendered(definition.result, Scope({**saga_values(saga), "steps": outputs_of_steps(definition, steps)}))


def log_fields(definition: Definition, saga: Saga) -> dict[str, str]:
    """The values for a log line, as text. Missing values, lists and maps are left out."""
    scope = Scope({**saga_values(saga), "steps": outputs_of_steps(definition, saga.steps)})
    fields = {}
    for name, template in definition.log_fields.items():
        with suppress(ExpressionError):
            fields[name] = spelled(template.render(scope))[:LOGGED_CHARACTERS]
    return fields


def _rendered(templates: Mapping[str, Template], scope: Scope) -> dict[str, Any]:
    values = {name: template.render(scope) for name, template in templates.items()}
    for name, value in values.items():
        if is_deeper(value, DEEPEST):
            raise ExpressionError(f"{name} is nested deeper than {DEEPEST} levels; name single fields")
    encoded_json(values, limit=OUTPUTS_LIMIT)
    return values
