"""Calls of which nothing left the engine: tried again, and not compensated if none was ever sent."""

import pytest

from kompensa.model.events import CancelAsked, Recovered, TimerDue
from kompensa.model.outcomes import Outcome
from kompensa.model.policies import RetryPolicy
from kompensa.model.saga import Phase, StepPhase
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_run import Run

TWICE = RetryPolicy(initial_interval=1.0, maximum_attempts=2)


def later(run: Run, seconds: float = 60.0) -> None:
    run.now += seconds
    run.feed(TimerDue())


def test_a_step_that_was_never_sent_is_tried_again_and_then_left_alone() -> None:
    run = Run(chain("a", policy=TWICE))
    run.not_sent("a")
    assert run.state("a").phase is StepPhase.RETRYING
    later(run)
    run.not_sent("a")
    assert run.saga.phase is Phase.COMPENSATED
    assert run.saga.reason == "Unreachable"
    assert (run.state("a").phase, run.state("a").outcome) == (StepPhase.FAILED, Outcome.NOT_SENT)


@pytest.mark.parametrize("sent_first", [True, False])
def test_one_attempt_that_was_sent_is_enough_for_a_compensation(sent_first: bool) -> None:
    run = Run(chain("a", policy=TWICE))
    for sent in (sent_first, not sent_first):
        (run.unknown if sent else run.not_sent)("a")
        later(run)
    assert run.state("a").phase is StepPhase.UNDOING


def test_a_probe_is_not_asked_about_what_was_never_sent() -> None:
    run = Run(definition(step("a", probe=True, policy=RetryPolicy(maximum_attempts=1))))
    run.not_sent("a")
    assert run.saga.phase is Phase.COMPENSATED


def test_a_retriable_step_that_was_never_sent_waits_for_a_person() -> None:
    run = Run(chain("a!", policy=RetryPolicy(maximum_attempts=1)))
    run.not_sent("a")
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED
    assert run.state("a").reason == "Unreachable"


def test_a_compensation_that_was_not_sent_is_tried_again() -> None:
    run = Run(chain("a", policy=RetryPolicy(maximum_attempts=1), compensation_policy=TWICE))
    run.unknown("a")
    run.not_sent("a")
    assert run.state("a").phase is StepPhase.UNDO_RETRYING


def test_cancelled_while_it_waits_for_an_attempt_it_is_left_alone() -> None:
    run = Run(chain("a"))
    run.not_sent("a")
    run.feed(CancelAsked())
    assert run.saga.phase is Phase.COMPENSATED


def test_after_a_crash_an_attempt_that_the_journal_does_not_know_counts_as_sent() -> None:
    """A keyed step's retry is sent before it is written; here the deadline passes before an engine is back."""
    run = Run(chain("a", deadline=30.0))
    run.not_sent("a")
    run.now += 60.0
    run.feed(Recovered())
    assert run.state("a").phase is StepPhase.UNDOING
