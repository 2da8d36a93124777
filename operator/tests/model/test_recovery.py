"""A saga whose engine died: what was under way counts as "may have been called", never as "not started"."""

from kompensa.model.events import Accepted, CancelAsked, Recovered, ResumeAsked, SuspendAsked
from kompensa.model.outcomes import Outcome
from kompensa.model.policies import RetryPolicy
from kompensa.model.saga import Phase, Saga, StepPhase
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_run import Run

ONE_ATTEMPT = RetryPolicy(maximum_attempts=1)


def crash(run: Run, *, back_to: Saga | None = None) -> None:
    """Take the saga up again from this durable state (or the present one)."""
    run.saga = back_to or run.saga
    run.feed(Recovered())


def test_a_keyed_participant_is_asked_again_at_once() -> None:
    run = Run(chain("a", policy=ONE_ATTEMPT))
    crash(run)
    assert run.asked == ["action a#2"]
    assert not run.committed_first
    run.done("a")
    assert run.saga.phase is Phase.SUCCEEDED


def test_a_participant_without_keys_is_asked_again_only_as_its_policy_allows() -> None:
    run = Run(chain("a", keyed=False))
    crash(run)
    assert run.asked == []
    run.wake()
    assert run.asked == ["action a#2"]

    at_most_once = Run(chain("a", keyed=False, policy=ONE_ATTEMPT))
    crash(at_most_once)
    assert at_most_once.asked == ["undo a#1"]


def test_a_probe_is_asked_again() -> None:
    run = Run(chain("a", probe=True, policy=ONE_ATTEMPT))
    run.unknown("a")
    crash(run)
    assert run.asked == ["probe a#1"]


def test_a_compensation_under_way_is_asked_again() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.refused("b")
    crash(run)
    assert run.asked == ["undo a#2"]


def test_a_wait_for_the_next_attempt_goes_on() -> None:
    run = Run(chain("a"))
    run.unknown("a")
    due = run.saga.wake_at
    crash(run)
    assert run.asked == []
    assert run.saga.wake_at == due


def test_nothing_is_called_for_a_suspended_saga_until_it_is_resumed() -> None:
    run = Run(chain("a"))
    run.feed(SuspendAsked())
    crash(run)
    assert run.asked == []
    run.feed(ResumeAsked())
    assert run.asked == ["action a#2"]


def test_an_action_under_way_is_not_repeated_once_the_saga_has_turned_back() -> None:
    run = Run(definition(step("a"), step("b", index=1)))
    run.refused("a")
    crash(run)
    assert run.asked == ["undo b#1"]


def test_a_replay_undoes_steps_that_may_have_run_in_the_life_before() -> None:
    run = Run(chain("a", "b", "c", policy=ONE_ATTEMPT))
    accepted = run.saga
    run.done("a")
    run.done("b")  # c was called; nothing of this was written
    crash(run, back_to=accepted)
    run.unknown("a")
    assert run.asked == ["undo c#1"]
    run.done("c")
    assert run.asked == ["undo b#1"]
    run.done("b")
    assert run.asked == ["undo a#1"]


def test_a_replay_that_meets_a_refusal_undoes_whatever_the_life_before_may_have_done() -> None:
    run = Run(chain("a", "b", "c"))
    accepted = run.saga
    run.done("a")
    run.done("b")  # c was called; nothing of this was written
    crash(run, back_to=accepted)
    run.done("a")
    run.refused("b")  # by a participant that forgot the key, or takes the body for another one
    assert run.asked == ["undo c#1"]
    run.done("c")
    assert run.asked == ["undo b#1"]


def test_a_refusal_that_was_written_down_ends_what_a_replay_would_undo() -> None:
    run = Run(chain("a", "b", "c"))
    run.done("a")
    run.refused("b")
    crash(run)
    assert run.asked == ["undo a#2"]
    run.done("a")
    assert run.saga.phase is Phase.COMPENSATED


def test_a_replay_does_not_undo_steps_without_keys_that_wait_as_each_has_its_own_write() -> None:
    run = Run(definition(step("a", policy=ONE_ATTEMPT), step("b", index=1, depends_on=[0], depth=1, keyed=False)))
    crash(run)
    run.unknown("a")
    assert run.asked == ["undo a#1"]
    run.done("a")
    assert run.saga.phase is Phase.COMPENSATED


def test_a_step_that_is_misdirected_in_a_replay_may_have_run_before_and_is_undone() -> None:
    run = Run(chain("a", "b"))
    accepted = run.saga
    run.done("a")  # b was called in the first life
    crash(run, back_to=accepted)
    run.done("a")
    run.misconfigured("b")
    run.feed(CancelAsked())
    assert run.asked == ["undo b#1"]


def test_a_saga_that_was_accepted_suspended_is_known_to_have_called_nobody() -> None:
    run = Run(chain("a", "b", "c!"), accepted=False)
    run.feed(SuspendAsked())
    run.feed(Accepted())
    crash(run)
    run.feed(CancelAsked())
    assert run.asked == ["finish Compensated"]
    assert {state.phase for state in run.saga.steps} == {StepPhase.WAITING}


def test_a_saga_that_was_suspended_on_its_way_undoes_what_it_had_called_and_no_more() -> None:
    run = Run(chain("a", "b", "c"))
    run.done("a")
    run.feed(SuspendAsked())  # durable, with b under way
    crash(run)
    run.feed(CancelAsked())
    assert run.asked == ["undo b#1"]
    run.done("b")
    assert run.asked == ["undo a#1"]
    run.done("a")
    assert run.saga.phase is Phase.COMPENSATED
    assert run.state("c").undo_attempts == 0


def test_what_a_life_before_the_suspension_may_have_called_stays_in_doubt() -> None:
    run = Run(chain("a", "b"))
    accepted = run.saga
    run.done("a")  # b was called; nothing of this was written
    crash(run, back_to=accepted)
    run.feed(SuspendAsked())
    crash(run)
    run.feed(CancelAsked())
    assert run.asked == ["undo b#1"]


def test_a_saga_that_was_resumed_after_a_suspended_recovery_is_in_doubt_again() -> None:
    run = Run(chain("a", "b"), accepted=False)
    run.feed(SuspendAsked())
    run.feed(Accepted())
    crash(run)
    run.feed(ResumeAsked())
    resumed = run.saga
    assert run.committed_first
    run.done("a")  # b was called; nothing of this was written
    crash(run, back_to=resumed)
    run.feed(CancelAsked())
    run.done("a")
    assert run.asked == ["undo b#1"]


def test_once_turned_back_a_recovery_adds_nothing_to_undo() -> None:
    run = Run(chain("a", "b", "c"))
    run.done("a")
    run.refused("b")
    crash(run)
    run.done("a")
    assert run.saga.phase is Phase.COMPENSATED
    assert run.state("c").phase is StepPhase.WAITING


def test_a_parked_saga_stays_parked() -> None:
    run = Run(chain("a!"))
    run.misconfigured("a")
    crash(run)
    assert run.asked == []
    assert run.saga.phase is Phase.INTERVENTION_REQUIRED


def test_a_call_that_was_under_way_when_another_step_parked_is_settled_after_the_resume() -> None:
    run = Run(definition(step("a"), step("b", index=1)))
    run.misconfigured("a")
    crash(run)
    assert run.asked == []
    run.feed(ResumeAsked())
    assert run.asked == ["action a#2", "action b#2"]


def test_the_outcome_of_a_step_survives_its_compensation() -> None:
    run = Run(chain("a", "b"))
    run.done("a")
    run.refused("b")
    run.done("a")
    assert run.state("a").outcome is Outcome.SUCCEEDED
    assert run.state("b").outcome is Outcome.FAILED
