"""A saga on its way back: what is undone, in which order, and what happens when undoing fails."""

from kompensa.model.events import Replied, ResumeAsked
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.policies import RetryPolicy
from kompensa.model.saga import Phase, StepPhase
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_run import START, Run


def failed_at_last(*names: str) -> Run:
    """All done but the last, which is refused."""
    run = Run(chain(*names))
    for name in names[:-1]:
        run.done(name)
    run.refused(names[-1], reason="PaymentDeclined")
    return run


def undone_in_order(run: Run) -> list[str]:
    """Answer every compensation; the steps in the order in which they were undone."""
    names = []
    while run.saga.phase is Phase.COMPENSATING:
        (asked,) = run.asked
        names.append(asked.removeprefix("undo ").split("#")[0])
        run.done(names[-1])
    return names


def test_compensations_go_one_by_one_in_reverse_order() -> None:
    run = failed_at_last("a", "b", "c", "d")
    assert undone_in_order(run) == ["c", "b", "a"]
    assert run.asked == ["finish Compensated"]
    assert run.saga.phase is Phase.COMPENSATED
    assert run.saga.reason == "PaymentDeclined"


def test_parallel_branches_are_undone_in_reverse_order_of_their_first_attempts() -> None:
    run = Run(
        definition(
            step("a"),
            step("b", index=1),
            step("c", index=2, depends_on=[0], depth=1),
            step("d", index=3, depends_on=[1], depth=1),
            step("e", index=4, depends_on=[2, 3], depth=2),
        )
    )
    run.done("b")  # so d starts before c
    run.done("a")
    run.done("c")
    run.done("d")
    run.refused("e")
    assert undone_in_order(run) == ["c", "d", "b", "a"]


def test_a_first_step_that_is_refused_leaves_nothing_to_undo() -> None:
    run = failed_at_last("a")
    assert run.asked == ["finish Compensated"]


def test_an_unanswered_compensation_is_tried_again_by_its_own_policy() -> None:
    run = Run(chain("a", "b", compensation_policy=RetryPolicy(initial_interval=5.0, jitter=0.0, maximum_attempts=2)))
    run.done("a")
    run.refused("b")
    run.unknown("a")
    assert run.asked == []
    assert run.saga.wake_at == START + 5.0
    run.wake()
    assert run.asked == ["undo a#2"]


def test_a_compensation_that_stays_unanswered_is_parked_and_those_before_it_wait() -> None:
    run = failed_at_last("a", "b", "c")
    run.exhaust("b")
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED
    assert run.state("b").phase is StepPhase.UNDO_PARKED
    assert run.state("b").reason == "CompensationExhausted"
    assert run.state("a").phase is StepPhase.SUCCEEDED


def test_a_refused_or_misdirected_compensation_is_parked_at_once() -> None:
    run = failed_at_last("a", "b")
    run.refused("a", reason="AlreadyShipped")
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED
    assert run.state("a").reason == "AlreadyShipped"

    run = failed_at_last("a", "b")
    run.misconfigured("a")
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED


def test_a_parked_compensation_goes_on_when_resumed_and_why_it_was_undone_is_not_forgotten() -> None:
    run = failed_at_last("a", "b")
    run.exhaust("a")
    run.feed(ResumeAsked())
    assert (run.asked, run.saga.phase) == (["undo a#4"], Phase.COMPENSATING)
    run.unknown("a")
    assert run.saga.wake_at is not None  # a fresh budget
    run.wake()
    run.done("a")
    assert run.saga.phase is Phase.COMPENSATED
    assert run.saga.reason == "PaymentDeclined"


def test_a_late_reply_to_an_action_means_nothing_while_it_is_undone() -> None:
    run = failed_at_last("a", "b")
    before = run.saga
    run.feed(Replied(step=0, direction=Direction.ACTION, attempt=1, outcome=Outcome.SUCCEEDED))
    assert run.saga is before


def test_a_reply_to_an_older_compensation_attempt_is_ignored() -> None:
    run = failed_at_last("a", "b")
    run.unknown("a")
    run.wake()
    before = run.saga
    run.feed(Replied(step=0, direction=Direction.COMPENSATION, attempt=1, outcome=Outcome.FAILED))
    assert run.saga is before
