"""From a saga's state to the request that is sent."""

import msgspec
import pytest

from kompensa.model.commands import CallAction, CallCompensation, CallProbe
from kompensa.model.definition import Definition
from kompensa.model.events import Probed, Replied
from kompensa.model.expressions import ExpressionError, Template
from kompensa.model.http_call import HttpCall
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.policies import RetryPolicy
from kompensa.model.requests import Request, action_request, compensation_request, probe_request, unsendable
from tests.support.saga_definitions import definition, step
from tests.support.saga_run import Run

RESERVE = HttpCall(
    method="POST",
    path=Template("/reservations/${input.warehouse}"),
    headers={"X-Customer": Template("${input.customer}"), "Kompensa-Fault": Template("${input.fault}")},
    body=Template({"sagaId": "${saga.id}", "items": "${input.items}"}),
)
RELEASE = HttpCall(
    method="POST", path=Template("/reservations/release"), headers={}, body=Template({"id": "${saga.id}"})
)
ASK = HttpCall(method="GET", path=Template("/operations/${operation.key}"), headers={})
INPUT = {"warehouse": "w 1", "customer": "c-1", "fault": "", "items": [{"price": "29.99", "quantity": 2}]}


def reserve() -> Definition:
    reserving = msgspec.structs.replace(step("reserve"), action=RESERVE, compensation=RELEASE, probe=ASK)
    return definition(reserving)


def request_of(call: HttpCall, **saga_input: object) -> Request:
    run = Run(definition(msgspec.structs.replace(step("a"), action=call)), saga_input=saga_input)
    return action_request(run.definition, run.saga, run.step("a"), 1)


def test_an_action_becomes_a_request_with_its_key() -> None:
    run = Run(reserve(), saga_input=INPUT)
    request = action_request(run.definition, run.saga, run.step("reserve"), 1)
    assert request.key == f"{run.saga.id}/reserve/action"
    assert (request.message.method, request.message.path) == ("POST", "/reservations/w%201")
    assert msgspec.json.decode(request.message.body) == {"sagaId": run.saga.id, "items": INPUT["items"]}
    assert request.timeout == 2.0


def test_a_header_that_comes_out_empty_is_not_sent() -> None:
    run = Run(reserve(), saga_input=INPUT)
    assert action_request(run.definition, run.saga, run.step("reserve"), 1).message.headers == {"X-Customer": "c-1"}


def test_every_attempt_sends_the_same() -> None:
    run = Run(reserve(), saga_input=INPUT)
    first, second = (action_request(run.definition, run.saga, run.step("reserve"), n) for n in (1, 2))
    assert msgspec.structs.replace(second, attempt=1) == first


def test_a_request_says_whether_its_policy_allows_another() -> None:
    once = RetryPolicy(maximum_attempts=1)
    run = Run(definition(msgspec.structs.replace(step("a"), retry_policy=once)))
    assert action_request(run.definition, run.saga, run.step("a"), 1).only
    assert not compensation_request(run.definition, run.saga, run.step("a"), 1).only


def test_a_compensation_has_a_key_of_its_own() -> None:
    run = Run(reserve(), saga_input=INPUT)
    request = compensation_request(run.definition, run.saga, run.step("reserve"), 1)
    assert request.direction is Direction.COMPENSATION
    assert request.key == f"{run.saga.id}/reserve/compensation"


def test_a_probe_asks_for_the_actions_key() -> None:
    run = Run(reserve(), saga_input=INPUT)
    request = probe_request(run.definition, run.saga, run.step("reserve"), 3)
    assert request.message.path == f"/operations/{run.saga.id}/reserve/action"
    assert request.message.body == b""


def test_later_steps_read_earlier_outputs() -> None:
    charge = step("charge", outputs={"id": Template("${reply.paymentId}")})
    tell = msgspec.structs.replace(
        step("tell", index=1, depends_on=[0], depth=1),
        action=HttpCall(method="PUT", path=Template("/payments/${steps.charge.id}"), headers={}, body=None),
    )
    run = Run(definition(charge, tell))
    run.done("charge", paymentId="p-1")
    assert action_request(run.definition, run.saga, run.step("tell"), 1).message.path == "/payments/p-1"


@pytest.mark.parametrize("value", ["a\r\nIdempotency-Key: other", "a\0", "tab\t"])
def test_a_header_cannot_be_split(value: str) -> None:
    with pytest.raises(ExpressionError, match="one line"):
        request_of(HttpCall(method="GET", path=Template("/"), headers={"X": Template("${input.x}")}), x=value)


def test_a_value_that_json_cannot_say_is_an_error_and_no_crash() -> None:
    with pytest.raises(ExpressionError, match="JSON"):
        request_of(HttpCall(method="POST", path=Template("/"), headers={}, body=Template({"t": "${type(1)}"})))


@pytest.mark.parametrize(
    ("command", "direction"),
    [(CallAction(0, 1), Direction.ACTION), (CallCompensation(0, 1), Direction.COMPENSATION)],
)
def test_what_cannot_be_built_counts_as_refused(command: CallAction | CallCompensation, direction: Direction) -> None:
    event = unsendable(command, ExpressionError("${steps.a.id} has no value"))
    assert event == Replied(
        step=0,
        direction=direction,
        attempt=1,
        outcome=Outcome.FAILED,
        reason="TemplateHasNoValue",
        message="${steps.a.id} has no value",
    )


def test_a_probe_that_cannot_be_built_leaves_the_outcome_unknown() -> None:
    event = unsendable(CallProbe(0, 2), ExpressionError("x"))
    assert event == Probed(step=0, attempt=2, outcome=Outcome.UNKNOWN, message="x")
