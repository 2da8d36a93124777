"""From a step and a saga's state to the HTTP request that is sent. Pure; sending is the transport's work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec import json as msgspec_json

from kompensa.model.definition import Call, Definition, Step
from kompensa.model.expressions import ExpressionError, Scope
from kompensa.model.outcomes import Direction
from kompensa.model.saga import Saga
from kompensa.model.scope import operation_key, operation_values, outputs_of_steps, saga_values


class Request(Struct, frozen=True, kw_only=True):
    """What to send to `participant`. `key` is the idempotency key; `body` is encoded JSON, empty for none."""

    participant: str
    step: str
    direction: Direction
    attempt: int
    key: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    timeout: float


def action_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The step's action. Raises ExpressionError where a template has no value for this saga."""
    return _request(definition, saga, step, step.action, Direction.ACTION, attempt)


def compensation_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The step's compensation. Raises ExpressionError where a template has no value for this saga."""
    if step.compensation is None:
        raise ExpressionError(f"step {step.name} has no compensation")
    return _request(definition, saga, step, step.compensation, Direction.COMPENSATION, attempt)


def probe_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The question what became of the step's action."""
    if step.probe is None:
        raise ExpressionError(f"step {step.name} has no probe")
    return _request(definition, saga, step, step.probe, Direction.ACTION, attempt)


def _request(definition: Definition, saga: Saga, step: Step, call: Call, direction: Direction, attempt: int) -> Request:
    scope = Scope(
        {
            **saga_values(saga),
            "steps": outputs_of_steps(definition, saga.steps),
            "operation": operation_values(saga, step, direction),
        }
    )
    return Request(
        participant=step.participant,
        step=step.name,
        direction=direction,
        attempt=attempt,
        key=operation_key(saga.id, step, direction),
        method=call.method,
        path=quote(_text(call.path.render(scope)), safe="/?&=:@,;+$!*'()~-._%"),
        headers=_headers(call, scope),
        body=b"" if call.body is None else msgspec_json.encode(call.body.render(scope)),
        timeout=step.attempt_timeout,
    )


def _headers(call: Call, scope: Scope) -> dict[str, str]:
    """A header whose value comes out empty is not sent, so that an expression can leave it out."""
    values = {name: _text(template.render(scope)) for name, template in call.headers.items()}
    return {name: value for name, value in values.items() if value}


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    if "\r" in text or "\n" in text:
        raise ExpressionError("a path or header must be one line")
    return text
