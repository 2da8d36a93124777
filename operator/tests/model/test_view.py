"""The view of a saga in each of its phases."""

import msgspec

from kompensa.model.events import CancelAsked, ResumeAsked, SuspendAsked
from kompensa.model.policies import RetryPolicy
from kompensa.model.view import SagaView, view
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_run import Run


def shown(run: Run) -> SagaView:
    return view(run.definition, run.saga)


def truths(run: Run) -> dict[str, str]:
    return {condition.type: condition.status for condition in shown(run).conditions}


def test_a_running_saga_tells_where_it_is() -> None:
    run = Run(chain("a", "b", "c"))
    run.done("a")
    seen = shown(run)
    assert (seen.phase, seen.step, seen.progress, seen.reason) == ("Running", "b", "1/3", None)
    assert seen.start_time == "1970-01-01T00:16:40.000Z"
    assert [(s.name, s.state, s.outcome, s.attempts) for s in seen.steps] == [
        ("a", "Succeeded", "Succeeded", 1),
        ("b", "Calling", None, 1),
        ("c", "Waiting", None, 0),
    ]


def test_conditions_of_a_running_saga() -> None:
    assert truths(Run(chain("a"))) == {
        "Ready": "False",
        "Reconciling": "True",
        "Stalled": "False",
        "Succeeded": "Unknown",
        "Compensated": "Unknown",
        "InterventionRequired": "False",
    }


def test_a_saga_that_succeeded_is_ready() -> None:
    run = Run(chain("a"))
    run.done("a")
    assert shown(run).phase == "Succeeded"
    assert shown(run).completion_time == "1970-01-01T00:16:40.000Z"
    assert truths(run) == {
        "Ready": "True",
        "Reconciling": "False",
        "Stalled": "False",
        "Succeeded": "True",
        "Compensated": "False",
        "InterventionRequired": "False",
    }


def test_a_saga_that_was_undone_tells_the_step_and_the_reason() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.refused("b", reason="PaymentDeclined", message="422 insufficient funds")
    assert shown(run).phase == "Compensating"
    assert shown(run).step == "a"  # what it is at now
    run.done("a")
    seen = shown(run)
    assert (seen.phase, seen.step, seen.reason) == ("Compensated", "b", "PaymentDeclined")
    assert seen.message == "b: 422 insufficient funds"
    assert seen.steps[0].outcome == "Succeeded"
    assert seen.steps[0].compensation is not None
    assert (seen.steps[0].compensation.state, seen.steps[0].compensation.attempts) == ("Succeeded", 1)
    assert seen.steps[1].compensation is None
    assert (truths(run)["Stalled"], truths(run)["Succeeded"], truths(run)["Compensated"]) == ("True", "False", "True")


def test_the_message_of_a_failed_saga_begins_as_its_definition_says() -> None:
    run = Run(msgspec.structs.replace(chain("a", "b"), failure_message="Order creation failed"))
    run.done("a")
    run.refused("b", reason="PaymentDeclined", message="422 insufficient funds")
    assert shown(run).message == "b: 422 insufficient funds"  # not yet failed: "a" is being undone
    run.done("a")
    seen = shown(run)
    assert seen.message == "Order creation failed: b: 422 insufficient funds"
    assert {condition.message for condition in seen.conditions if condition.type == "Ready"} == {seen.message}


def test_the_message_of_a_saga_that_succeeded_does_not() -> None:
    run = Run(msgspec.structs.replace(chain("a"), failure_message="Order creation failed"))
    run.done("a")
    assert shown(run).message is None


def test_a_parked_saga_tells_what_a_person_must_look_at() -> None:
    run = Run(chain("a", "b", compensation_policy=RetryPolicy(maximum_attempts=1)))
    run.done("a")
    run.refused("b", reason="PaymentDeclined")
    run.unknown("a")
    seen = shown(run)
    assert (seen.phase, seen.step, seen.reason) == ("InterventionRequired", "a", "CompensationExhausted")
    assert seen.message == "a: not compensated after 1 attempts: no answer"
    assert truths(run)["InterventionRequired"] == "True"
    assert truths(run)["Stalled"] == "True"
    run.feed(ResumeAsked())
    assert shown(run).reason == "PaymentDeclined"


def test_a_suspended_saga_says_so_unless_a_person_is_needed() -> None:
    run = Run(chain("a"))
    run.feed(SuspendAsked())
    assert shown(run).phase == "Suspended"
    assert truths(run)["Reconciling"] == "False"
    run.misconfigured("a")
    assert shown(run).phase == "InterventionRequired"


def test_a_cancelled_saga_tells_why_without_a_step() -> None:
    run = Run(chain("a"))
    run.feed(CancelAsked(reason="Cancelled", message="cancelled on request"))
    run.done("a")
    run.done("a")
    seen = shown(run)
    assert (seen.phase, seen.reason, seen.message) == ("Compensated", "Cancelled", "cancelled on request")


def test_of_parallel_steps_the_first_at_work_is_shown() -> None:
    run = Run(definition(step("a"), step("b", index=1)))
    run.done("a")
    assert shown(run).step == "b"


def test_the_same_state_gives_the_same_view() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    assert shown(run) == shown(run)
