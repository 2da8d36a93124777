"""From a command and a saga's state to a request. The transport sends it."""

from __future__ import annotations

from typing import assert_never

from msgspec import Struct

from kompensa.model.calls import Call, Message
from kompensa.model.commands import CallAction, CallCompensation, CallProbe
from kompensa.model.definition import Definition, Step
from kompensa.model.events import Probed, Replied
from kompensa.model.expressions import ExpressionError, Scope
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.saga import Saga
from kompensa.model.scope import operation_values, outputs_of_steps, saga_values


class Request(Struct, frozen=True, kw_only=True):
    """One attempt to call a participant.

    Attributes
    ----------
    key
        The idempotency key.
    timeout
        Seconds within which the whole reply must arrive.
    only
        The retry policy allows no further attempt.
    """

    step: str
    direction: Direction
    attempt: int
    key: str
    message: Message
    timeout: float
    only: bool = False


def action_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The request for the step's action.

    Raises
    ------
    ExpressionError
        A template has no value for this saga.
    """
    return _request(definition, saga, step, step.action, Direction.ACTION, attempt)


def compensation_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The request for the step's compensation.

    Raises
    ------
    ExpressionError
        The step has none, or a template has no value for this saga.
    """
    if step.compensation is None:
        raise ExpressionError(f"step {step.name} has no compensation")
    return _request(definition, saga, step, step.compensation, Direction.COMPENSATION, attempt)


def probe_request(definition: Definition, saga: Saga, step: Step, attempt: int) -> Request:
    """The request that asks whether the step's action took place.

    Raises
    ------
    ExpressionError
        The step has no probe, or a template has no value for this saga.
    """
    if step.probe is None:
        raise ExpressionError(f"step {step.name} has no probe")
    return _request(definition, saga, step, step.probe, Direction.ACTION, attempt)


def unsendable(command: CallAction | CallCompensation | CallProbe, error: ExpressionError) -> Replied | Probed:
    """The event for a command whose request cannot be built. Nothing was sent, so there is no effect.

    The definition and the values do not change, so another attempt would fail too. An action counts as refused.
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
    operation = operation_values(saga, step, direction)
    scope = Scope({**saga_values(saga), "steps": outputs_of_steps(definition, saga.steps), "operation": operation})
    return Request(
        step=step.name,
        direction=direction,
        attempt=attempt,
        key=operation["key"],
        message=call.rendered(scope),
        timeout=step.attempt_timeout,
        only=policy.maximum_attempts == 1,
    )
