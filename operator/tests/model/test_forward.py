"""A saga on its way forward: what starts when, and what each outcome leads to."""

import pytest

from kompensa.model.events import Accepted, Replied, TimerDue
from kompensa.model.expressions import Template
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.policies import RetryPolicy
from kompensa.model.saga import Phase, StepPhase
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_run import START, Run

ONE_ATTEMPT = RetryPolicy(maximum_attempts=1)


def diamond() -> Run:
    """a, then b and c side by side, then d."""
    return Run(
        definition(
            step("a"),
            step("b", index=1, depends_on=[0], depth=1),
            step("c", index=2, depends_on=[0], depth=1),
            step("d", index=3, depends_on=[1, 2], depth=2),
        )
    )


def test_a_saga_starts_with_the_steps_that_wait_for_none() -> None:
    run = Run(chain("a", "b"))
    assert run.asked == ["action a#1"]
    assert run.saga.phase is Phase.RUNNING
    assert run.state("a").phase is StepPhase.CALLING


def test_each_step_starts_when_all_it_depends_on_is_done() -> None:
    run = diamond()
    run.done("a")
    assert run.asked == ["action b#1", "action c#1"]
    run.done("c")
    assert run.asked == []
    run.done("b")
    assert run.asked == ["action d#1"]


def test_the_last_reply_ends_the_saga() -> None:
    run = Run(chain("a"))
    run.done("a")
    assert run.asked == ["finish Succeeded"]
    assert run.saga.phase is Phase.SUCCEEDED
    assert run.saga.ended_at == START


def test_a_second_acceptance_changes_nothing() -> None:
    run = Run(chain("a"))
    before = run.saga
    run.feed(Accepted())
    assert run.saga is before
    assert run.asked == []


def test_outputs_are_kept_and_make_the_result() -> None:
    charge = step("charge", outputs={"id": Template("${reply.paymentId}")})
    run = Run(definition(charge, result={"payment": Template("${steps.charge.id}")}))
    run.done("charge", paymentId="p-1", secret="not kept")
    assert run.state("charge").outputs == {"id": "p-1"}
    assert run.saga.result == {"payment": "p-1"}


def test_a_result_that_cannot_be_told_does_not_undo_what_is_done() -> None:
    run = Run(definition(step("a"), result={"x": Template("${steps.a.missing}")}))
    run.done("a")
    assert run.saga.phase is Phase.SUCCEEDED
    assert run.saga.reason == "ResultUnavailable"
    assert run.saga.message == "${steps.a.missing} has no value: there is no 'a'"


def test_a_reply_without_the_declared_outputs_is_compensated_with_the_step() -> None:
    run = Run(definition(step("a", outputs={"id": Template("${reply.id}")})))
    run.done("a", other=1)
    assert run.asked == ["undo a#1"]
    assert run.saga.reason == "OutputsMissing"


def test_outputs_that_are_no_finite_number_are_refused_and_compensated_with_the_step() -> None:
    run = Run(definition(step("a", outputs={"rate": Template("${double(reply.rate)}")})))
    run.done("a", rate="inf")
    assert run.asked == ["undo a#1"]
    assert run.saga.reason == "OutputsMissing"
    assert "${double(reply.rate)} cannot be written as JSON: inf is not a finite number" in (run.saga.message or "")


def test_outputs_too_large_to_keep_are_refused() -> None:
    run = Run(definition(step("a", outputs={"all": Template("${reply}")})))
    run.done("a", text="x" * 70_000)
    assert run.saga.reason == "OutputsMissing"
    assert "name single fields" in (run.saga.message or "")


@pytest.mark.parametrize("levels", [100, 955])
def test_outputs_too_deep_to_be_shown_are_refused(levels: int) -> None:
    deep: object = 1
    for _ in range(levels):
        deep = [deep]
    run = Run(definition(step("a", outputs={"all": Template("${reply.x}")})))
    run.done("a", x=deep)
    assert run.saga.reason == "OutputsMissing"
    assert "all is nested deeper than 64 levels" in (run.saga.message or "")


def test_an_unknown_outcome_is_tried_again_after_a_while_and_not_before() -> None:
    run = Run(chain("a", policy=RetryPolicy(initial_interval=1.0, jitter=0.0)))
    run.unknown("a")
    assert run.asked == []
    assert run.saga.wake_at == START + 1.0
    run.now += 0.5
    run.feed(TimerDue())
    assert run.asked == []
    run.wake()
    assert run.asked == ["action a#2"]


def test_a_participant_may_ask_for_a_longer_wait() -> None:
    run = Run(chain("a", policy=RetryPolicy(initial_interval=1.0, jitter=0.0)))
    run.unknown("a", retry_after=7.0)
    assert run.saga.wake_at == START + 7.0


def test_a_reply_to_an_older_attempt_is_ignored() -> None:
    run = Run(chain("a"))
    run.unknown("a")
    run.wake()
    before = run.saga
    for outcome in Outcome:
        run.feed(Replied(step=0, direction=Direction.ACTION, attempt=1, outcome=outcome))
        assert run.saga is before


def test_a_reply_that_comes_twice_counts_once() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    before = run.saga
    run.feed(Replied(step=0, direction=Direction.ACTION, attempt=1, outcome=Outcome.FAILED))
    assert run.saga is before


def test_attempts_end_with_the_retry_policy_and_the_step_is_compensated_too() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.exhaust("b")
    assert run.state("b").attempts == 3
    assert run.state("b").outcome is Outcome.UNKNOWN
    assert run.asked == ["undo b#1"]


def test_attempts_end_when_the_next_would_start_after_the_steps_total_timeout() -> None:
    patient = RetryPolicy(initial_interval=2.0, backoff_coefficient=1, jitter=0.0, maximum_attempts=100)
    run = Run(chain("a", policy=patient, total_timeout=5.0))
    run.exhaust("a")
    assert run.state("a").attempts == 3  # at 0 s, 2 s and 4 s; 6 s would be too late
    assert run.saga.reason == "OutcomeUnknown"


def test_a_refusal_compensates_what_came_before_and_not_the_step_itself() -> None:
    run = Run(chain("a", "b", "c"))
    run.done("a")
    run.done("b")
    run.refused("c", reason="PaymentDeclined", message="no money")
    assert run.asked == ["undo b#1"]
    assert (run.saga.reason, run.saga.message) == ("PaymentDeclined", "c: no money")
    run.done("b")
    assert run.asked == ["undo a#1"]
    run.done("a")
    assert run.saga.phase is Phase.COMPENSATED
    assert run.state("c").undo_attempts == 0


def test_a_refusal_is_no_proof_where_an_earlier_attempt_went_unseen_and_keys_are_unknown() -> None:
    run = Run(chain("a", keyed=False))
    run.unknown("a")
    run.wake()
    run.refused("a", reason="AlreadyExists")
    assert run.asked == ["undo a#1"]
    assert run.saga.reason == "AlreadyExists"


@pytest.mark.parametrize("keyed", [True, False])
def test_a_refusal_is_no_proof_where_an_attempt_before_it_went_unseen(keyed: bool) -> None:
    run = Run(chain("a", keyed=keyed))
    run.unknown("a")
    run.wake()
    run.refused("a")
    assert run.asked == ["undo a#1"]


def test_a_refusal_of_the_first_attempt_is_proof() -> None:
    run = Run(chain("a", keyed=True))
    run.refused("a")
    assert run.saga.phase is Phase.COMPENSATED
    assert run.state("a").undo_attempts == 0


def test_a_failure_waits_for_the_branch_that_is_still_in_flight() -> None:
    run = diamond()
    run.done("a")
    run.refused("b")
    assert run.asked == []
    assert run.saga.phase is Phase.RUNNING
    assert run.saga.stopping
    run.done("c")
    assert run.asked == ["undo c#1"]


def test_a_failure_ends_the_retries_of_the_other_branch_and_undoes_it_as_unknown() -> None:
    run = diamond()
    run.done("a")
    run.unknown("c")
    run.refused("b")
    assert run.asked == ["undo c#1"]
    assert run.state("c").outcome is Outcome.UNKNOWN


def test_an_unknown_outcome_while_turning_back_is_not_tried_again() -> None:
    run = diamond()
    run.done("a")
    run.refused("b")
    run.unknown("c")
    assert run.asked == ["undo c#1"]


def test_the_first_cause_is_the_one_people_are_told() -> None:
    run = diamond()
    run.done("a")
    run.refused("b", reason="First")
    run.refused("c", reason="Second")
    assert run.saga.reason == "First"


def test_a_probe_is_asked_only_when_attempts_are_used_up() -> None:
    run = Run(chain("a", probe=True))
    run.unknown("a")
    assert run.asked == []
    run.wake()
    run.unknown("a")
    run.wake()
    run.unknown("a")
    assert run.asked == ["probe a#3"]


def test_a_probe_that_finds_the_effect_lets_the_saga_go_on() -> None:
    run = Run(definition(step("a", probe=True, policy=ONE_ATTEMPT, outputs={"id": Template("${reply.id}")})))
    run.unknown("a")
    run.probed("a", Outcome.SUCCEEDED, id="x")
    assert run.saga.phase is Phase.SUCCEEDED
    assert run.state("a").outputs == {"id": "x"}


def test_a_probe_that_finds_a_refusal_proves_that_nothing_is_there() -> None:
    run = Run(chain("a", probe=True, policy=ONE_ATTEMPT))
    run.unknown("a")
    run.probed("a", Outcome.FAILED)
    assert run.saga.phase is Phase.COMPENSATED
    assert run.state("a").undo_attempts == 0


def test_what_a_probe_says_of_a_refusal_is_the_sagas_reason() -> None:
    run = Run(chain("a", probe=True, policy=ONE_ATTEMPT))
    run.unknown("a")
    run.probed("a", Outcome.FAILED, reason="CardExpired", message="the card ended in May")
    assert (run.saga.reason, run.saga.message) == ("CardExpired", "a: the card ended in May")


def test_what_kept_a_probe_from_an_answer_is_told() -> None:
    run = Run(chain("a", probe=True, policy=ONE_ATTEMPT))
    run.unknown("a")
    run.probed("a", Outcome.MISCONFIGURED, message="404 from /operatoins")
    assert run.saga.message == "a: no outcome after 1 attempts: no answer; the probe: 404 from /operatoins"


def test_why_a_reply_has_no_outputs_is_told() -> None:
    run = Run(definition(step("a", outputs={"id": Template("${reply.id}")})))
    said = "the reply is not a JSON object"
    run.feed(Replied(step=0, direction=Direction.ACTION, attempt=1, outcome=Outcome.SUCCEEDED, message=said))
    assert run.saga.message == "a: the reply does not fit: the reply is not a JSON object"


def test_a_probe_that_finds_nothing_still_compensates_as_the_request_may_arrive_late() -> None:
    run = Run(chain("a", probe=True, policy=ONE_ATTEMPT))
    run.unknown("a")
    run.probed("a", Outcome.ABSENT)
    assert run.asked == ["undo a#1"]


def test_a_probe_that_fails_itself_compensates_the_step() -> None:
    for outcome in (Outcome.UNKNOWN, Outcome.MISCONFIGURED):
        run = Run(chain("a", probe=True, policy=ONE_ATTEMPT))
        run.unknown("a")
        run.probed("a", outcome)
        assert run.asked == ["undo a#1"]


def test_a_misdirected_call_parks_at_once_and_is_not_repeated() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.misconfigured("b")
    assert run.asked == ["finish InterventionRequired"]
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED
    assert run.saga.wake_at is None


def test_while_parked_the_other_branch_settles_and_nothing_new_starts() -> None:
    run = diamond()
    run.done("a")
    run.misconfigured("b")
    run.done("c")
    assert run.asked == []
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED


def test_while_parked_the_other_branch_is_not_retried_and_holds_no_timer() -> None:
    run = diamond()
    run.done("a")
    run.misconfigured("b")
    run.unknown("c")
    assert run.saga.wake_at is None
    assert run.saga.settled


def test_a_refusal_elsewhere_undoes_a_parked_saga_without_a_person() -> None:
    run = diamond()
    run.done("a")
    run.misconfigured("b")
    run.refused("c", reason="OutOfStock")
    assert run.asked == ["undo a#1"]
    assert run.state("b").undo_attempts == 0
    assert run.saga.reason == "OutOfStock"


def test_a_misdirected_call_while_turning_back_is_no_effect_unless_an_attempt_before_was_unseen() -> None:
    run = diamond()
    run.done("a")
    run.refused("b")
    run.misconfigured("c")
    assert run.asked == ["undo a#1"]

    run = diamond()
    run.done("a")
    run.unknown("c")
    run.wake()
    run.refused("b")
    run.misconfigured("c")
    assert run.asked == ["undo c#1"]


def test_a_retriable_step_is_never_compensated_but_parked_when_its_policy_is_exhausted() -> None:
    run = Run(chain("a", "b!"))
    run.done("a")
    run.exhaust("b")
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED
    assert run.state("b").phase is StepPhase.PARKED
    assert run.state("a").phase is StepPhase.SUCCEEDED


def test_a_retriable_step_that_is_refused_is_parked() -> None:
    run = Run(chain("a", "b!"))
    run.done("a")
    run.refused("b", message="the order is gone")
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED
    assert "must not be refused: the order is gone" in (run.state("b").message or "")


def test_long_messages_are_clipped() -> None:
    run = Run(chain("a"))
    run.refused("a", message="x" * 10_000)
    assert len(run.saga.message or "") == 500
    assert len(run.state("a").message or "") == 500
