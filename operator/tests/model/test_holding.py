"""Requests of users and the passing of time: suspend, resume, cancel, deadline."""

import pytest

from kompensa.model.events import (
    Accepted,
    CancelAsked,
    Event,
    Probed,
    Recovered,
    Replied,
    ResumeAsked,
    SuspendAsked,
    TimerDue,
)
from kompensa.model.outcomes import Direction, Outcome
from kompensa.model.saga import Phase, StepPhase
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_run import START, Run


def side_by_side() -> Run:
    return Run(definition(step("a"), step("b", index=1)))


def test_a_suspended_saga_lets_calls_settle_and_starts_none() -> None:
    run = Run(chain("a", "b"))
    run.feed(SuspendAsked())
    run.done("a")
    assert run.asked == []
    assert run.state("a").phase is StepPhase.SUCCEEDED
    run.feed(ResumeAsked())
    assert run.asked == ["action b#1"]


def test_a_suspended_saga_is_not_retried_before_it_is_resumed() -> None:
    run = Run(chain("a"))
    run.feed(SuspendAsked())
    run.unknown("a")
    assert run.saga.wake_at is None
    run.now += 100
    run.feed(TimerDue())
    assert run.asked == []
    run.feed(ResumeAsked())
    assert run.asked == ["action a#2"]


def test_a_saga_can_be_suspended_before_it_starts() -> None:
    run = Run(chain("a"), accepted=False)
    run.feed(SuspendAsked())
    run.feed(Accepted())
    assert run.asked == []
    run.feed(ResumeAsked())
    assert run.asked == ["action a#1"]


def test_a_saga_whose_last_reply_comes_while_suspended_has_ended() -> None:
    run = Run(chain("a"))
    run.feed(SuspendAsked())
    run.done("a")
    assert run.saga.phase is Phase.SUCCEEDED


def test_undoing_can_be_suspended_and_resumed() -> None:
    run = Run(chain("a", "b", "c"))
    run.done("a")
    run.done("b")
    run.refused("c")
    run.feed(SuspendAsked())
    run.done("b")
    assert run.asked == []
    run.feed(ResumeAsked())
    assert run.asked == ["undo a#1"]


def test_a_failure_while_suspended_is_undone_only_when_resumed() -> None:
    run = side_by_side()
    run.done("a")
    run.feed(SuspendAsked())
    run.refused("b")
    assert run.asked == []
    run.feed(ResumeAsked())
    assert run.asked == ["undo a#1"]


def test_cancelling_undoes_what_was_done() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.feed(CancelAsked(reason="CustomerLeft", message="closed the tab"))
    assert run.asked == []  # b is in flight: its outcome is awaited
    run.done("b")
    assert run.asked == ["undo b#1"]
    assert run.saga.reason == "CustomerLeft"


def test_a_saga_that_was_cancelled_is_undone_even_if_its_last_step_then_succeeds() -> None:
    run = Run(chain("a"))
    run.feed(CancelAsked())
    run.done("a")
    assert run.asked == ["undo a#1"]


def test_cancelling_ends_a_suspension_as_undoing_needs_calls() -> None:
    run = Run(chain("a", "b"))
    run.feed(SuspendAsked())
    run.done("a")
    run.feed(CancelAsked())
    assert run.asked == ["undo a#1"]


def test_cancelling_while_undoing_is_suspended_lets_it_go_on() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.feed(SuspendAsked())
    run.refused("b")
    run.feed(CancelAsked())
    assert run.asked == ["undo a#1"]


def test_cancelling_before_anything_was_called_ends_at_once() -> None:
    run = Run(chain("a"), accepted=False)
    run.feed(CancelAsked())
    assert run.asked == ["finish Compensated"]
    run.feed(Accepted())
    assert run.asked == []


def test_cancelling_after_a_retriable_step_was_started_is_refused_and_recorded() -> None:
    run = Run(chain("a", "b!"))
    run.done("a")
    before = run.saga
    run.feed(CancelAsked())
    assert run.asked == []
    assert run.saga == before
    assert run.log[-1] == "CancelRefused"
    run.done("b")
    assert run.saga.phase is Phase.SUCCEEDED


def test_cancelling_a_parked_saga_undoes_it_without_the_parked_step() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.misconfigured("b")
    run.feed(CancelAsked())
    assert run.asked == ["undo a#1"]


def test_cancelling_a_parked_saga_undoes_the_parked_step_too_if_an_attempt_went_unseen() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.unknown("b")
    run.wake()
    run.misconfigured("b")
    run.feed(CancelAsked())
    assert run.asked == ["undo b#1"]


def test_cancelling_a_saga_that_is_parked_while_undoing_tries_the_compensation_again() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.refused("b", reason="PaymentDeclined")
    run.exhaust("a")
    parked, before = run.saga.phase, run.state("a").undo_attempts
    assert parked is Phase.INTERVENTION_REQUIRED
    run.feed(CancelAsked())
    assert run.asked == [f"undo a#{before + 1}"]
    assert (run.saga.phase, run.saga.reason) == (Phase.COMPENSATING, "PaymentDeclined")
    run.unknown("a")
    assert run.saga.wake_at is not None, "it has a fresh number of attempts"
    run.wake()
    run.done("a")
    assert run.saga.phase is Phase.COMPENSATED


def test_cancelling_twice_changes_nothing_more() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.refused("b", reason="PaymentDeclined")
    run.feed(CancelAsked())
    assert run.asked == []
    assert run.saga.reason == "PaymentDeclined"


def test_a_parked_step_is_tried_again_with_a_fresh_budget_when_resumed() -> None:
    run = Run(chain("a!", total_timeout=5.0))
    run.exhaust("a")
    run.now += 1000
    run.feed(ResumeAsked())
    assert run.asked == ["action a#4"]
    run.unknown("a")
    assert run.saga.wake_at is not None
    run.wake()
    run.done("a")
    assert run.saga.phase is Phase.SUCCEEDED
    assert run.saga.reason is None


def test_a_parked_saga_can_be_suspended_and_one_resume_ends_both() -> None:
    run = Run(chain("a!"))
    run.misconfigured("a")
    run.feed(SuspendAsked())
    run.feed(ResumeAsked())
    assert run.asked == ["action a#2"]
    assert not run.saga.suspended


def test_at_its_deadline_a_saga_turns_back() -> None:
    run = Run(chain("a", "b", deadline=60.0))
    run.done("a")
    assert run.saga.wake_at == START + 60.0
    run.wake()
    assert run.asked == []  # b is in flight
    run.unknown("b")
    assert run.asked == ["undo b#1"]
    assert run.saga.reason == "DeadlineExceeded"
    assert run.saga.message == "not finished within 60 s"


def test_the_reply_that_completes_a_saga_wins_over_the_deadline() -> None:
    run = Run(chain("a", deadline=60.0))
    run.now += 61
    run.done("a")
    assert run.saga.phase is Phase.SUCCEEDED


def test_beyond_the_point_of_no_return_the_deadline_is_told_once_and_nothing_undone() -> None:
    run = Run(chain("a", "b!", deadline=60.0))
    run.done("a")
    run.wake()
    assert run.log.count("DeadlinePassed") == 1
    run.now += 100
    run.feed(TimerDue())
    assert run.log.count("DeadlinePassed") == 1
    run.done("b")
    assert run.saga.phase is Phase.SUCCEEDED


def test_a_deadline_that_passes_during_a_suspension_takes_effect_when_resumed() -> None:
    run = Run(chain("a", "b", deadline=60.0))
    run.done("a")
    run.feed(SuspendAsked())
    run.unknown("b")
    assert run.saga.wake_at is None
    run.now += 100
    run.feed(TimerDue())
    assert run.saga.phase is Phase.RUNNING
    run.feed(ResumeAsked())
    assert run.asked == ["undo b#1"]
    assert run.saga.reason == "DeadlineExceeded"


def test_a_deadline_that_passes_while_parked_takes_effect_when_resumed() -> None:
    run = Run(chain("a", "b", deadline=60.0))
    run.done("a")
    run.misconfigured("b")
    assert run.saga.wake_at is None
    run.now += 100
    run.feed(ResumeAsked())
    assert run.asked == ["undo a#1"]
    assert run.state("b").undo_attempts == 0


def every_event() -> list[Event]:
    replies: list[Event] = [
        Replied(step=0, direction=direction, attempt=attempt, outcome=outcome)
        for direction in Direction
        for attempt in (0, 1, 2)
        for outcome in Outcome
    ]
    asked: list[Event] = [Accepted(), CancelAsked(), SuspendAsked(), ResumeAsked(), Recovered(), TimerDue()]
    return [*replies, *asked, Probed(step=0, attempt=1, outcome=Outcome.SUCCEEDED)]


@pytest.mark.parametrize("event", every_event(), ids=repr)
def test_nothing_moves_a_saga_that_has_ended(event: Event) -> None:
    succeeded, compensated = Run(chain("a")), Run(chain("a"))
    succeeded.done("a")
    compensated.refused("a")
    for run in (succeeded, compensated):
        before = run.saga
        run.feed(event)
        assert run.saga is before
        assert run.asked == []
