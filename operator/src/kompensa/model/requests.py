"""From a command and a saga's state to the HTTP request that is sent. Pure; sending is the transport's work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from msgspec import Struct

from kompensa.model.commands import CallAction, CallCompensation, CallProbe
from kompensa.model.definition import Call, Definition, Step
from kompensa.model.events import Probed, Replied
from kompensa.model.expressions import ExpressionError, Scope, spelled
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.saga import Saga
from kompensa.model.scope import encoded_json, operation_key, operation_values, outputs_of_steps, saga_values


class Request(Struct, frozen=True, kw_only=True):
    """What to send to the step's participant. `key` is the idempotency key; `body` is encoded JSON, empty for none.

    `only`: the policy allows no attempt but this one.
    """

    step: str
    direction: Direction
    attempt: int
    key: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    timeout: float
    only: bool = False


def action_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The step's action. Raises ExpressionError where a template has no value for this saga."""
    return _request(definition, saga, step, step.action, Direction.ACTION, attempt)


def compensation_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The step's compensation. Raises ExpressionError where a template has no value for this saga."""
    if step.compensation is None:
        raise ExpressionError(f"step {step.name} has no compensation")
    return _request(definition, saga, step, step.compensation, Direction.COMPENSATION, attempt)


def probe_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The question what became of the step's action. Raises ExpressionError as the others do."""
    if step.probe is None:
        raise ExpressionError(f"step {step.name} has no probe")
    return _request(definition, saga, step, step.probe, Direction.ACTION, attempt)


def unsendable(command: CallAction | CallCompensation | CallProbe, error: ExpressionError) -> Replied | Probed:
    """The event to feed back when a command's request cannot be built: nothing was sent, so nothing took effect.

    A definition is frozen and so are its values, hence trying again would not help: an action counts as refused.
    """
    match command:
        case CallProbe():
            return Probed(step=command.step, attempt=command.attempt, outcome=Outcome.UNKNOWN, message=str(error))
        case CallAction():
            direction = Direction.ACTION
        case CallCompensation():
            direction = Direction.COMPENSATION
        case _:
            assert_never(command)
    return Replied(
        step=command.step,
        direction=direction,
        attempt=command.attempt,
        outcome=Outcome.FAILED,
        reason="TemplateHasNoValue",
        message=str(error),
    )


def _request(definition: Definition, saga: Saga, step: Step, call: Call, direction: Direction, attempt: int) -> Request:
    policy = step.retry_policy if direction is Direction.ACTION else step.compensation_policy
    scope = Scope(
        {
            **saga_values(saga),
            "steps": outputs_of_steps(definition, saga.steps),
            "operation": operation_values(saga, step, direction),
        }
    )
    return Request(
        step=step.name,
        direction=direction,
        attempt=attempt,
        key=operation_key(saga.id, step, direction),
        method=call.method,
        path=call.path.render_path(scope),
        headers=_headers(call, scope) if call.headers else {},
        body=b"" if call.body is None else encoded_json(call.body.render(scope)),
        timeout=step.attempt_timeout,
        only=policy.maximum_attempts == 1,
    )


def _headers(call: Call, scope: Scope) -> dict[str, str]:
    """A header whose value comes out empty is not sent, so that an expression can leave it out."""
    values = {name: _one_line(spelled(template.render(scope))) for name, template in call.headers.items()}
    return {name: value for name, value in values.items() if value}


def _one_line(text: str) -> str:
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ExpressionError("a header must be one line of printable characters")
    return text
