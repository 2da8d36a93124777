"""Which transitions must be written before they are acted on; and that sagas pay for no more writes than these."""

from collections.abc import Callable

import pytest

from kompensa.model.events import CancelAsked, ResumeAsked, SuspendAsked
from kompensa.model.policies import RetryPolicy
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_run import Run


def writes_of(run: Run, *drives: Callable[[], None]) -> int:
    """How many of these drives had to be written first; the acceptance before them counts as one."""
    count = 1
    for drive in drives:
        drive()
        count += run.committed_first
    return count


def test_a_saga_of_keyed_steps_costs_two_writes() -> None:
    run = Run(chain("a", "b", "c", "d"))
    assert run.committed_first
    assert writes_of(run, *[lambda name=name: run.done(name) for name in "abcd"]) == 2


def test_one_write_declares_all_retriable_steps() -> None:
    run = Run(chain("a", "b", "c!", "d!"))
    writes = [run.committed_first]
    for name in "abcd":
        run.done(name)
        writes.append(run.committed_first)
    assert writes == [True, False, True, False, True]


def test_a_saga_of_steps_without_keys_writes_before_each_call() -> None:
    run = Run(chain("a", "b", "c", "d", keyed=False))
    assert writes_of(run, *[lambda name=name: run.done(name) for name in "abcd"]) == 5


def test_only_calls_without_keys_cost_a_write_where_both_kinds_meet() -> None:
    run = Run(
        definition(step("a"), step("b", index=1, depends_on=[0], keyed=False), step("c", index=2, depends_on=[1]))
    )
    run.done("a")
    assert run.committed_first
    run.done("b")
    assert not run.committed_first


def test_turning_back_is_written_before_the_first_compensation_and_only_it() -> None:
    run = Run(chain("a", "b", "c"))
    run.done("a")
    run.done("b")
    run.refused("c")
    assert run.asked == ["undo b#1"]
    committed_first = [run.committed_first]
    for step_name in ("b", "a"):
        run.done(step_name)
        committed_first.append(run.committed_first)
    assert committed_first == [True, False, True]  # the last one is the end


def test_turning_back_is_written_as_soon_as_it_is_decided() -> None:
    run = Run(definition(step("a"), step("b", index=1)))
    run.refused("a")
    assert run.asked == []
    assert run.committed_first


@pytest.mark.parametrize("event", [SuspendAsked(), CancelAsked()], ids=repr)
def test_what_a_person_asked_for_is_written(event: SuspendAsked | CancelAsked) -> None:
    run = Run(chain("a", "b"))
    run.feed(event)
    assert run.committed_first


def test_a_resume_is_written() -> None:
    run = Run(chain("a"))
    run.feed(SuspendAsked())
    run.feed(ResumeAsked())
    assert run.committed_first


def test_parking_is_written_also_the_second_time() -> None:
    run = Run(definition(step("a", retriable=True), step("b", index=1, retriable=True)))
    run.misconfigured("a")
    assert run.committed_first
    run.misconfigured("b")
    assert run.committed_first


def test_a_wait_for_the_next_attempt_is_written_and_the_attempt_is_not() -> None:
    run = Run(chain("a"))
    run.unknown("a")
    assert run.committed_first
    run.wake()
    assert run.asked == ["action a#2"]
    assert not run.committed_first


def test_a_repeated_attempt_without_keys_is_written() -> None:
    run = Run(chain("a", keyed=False))
    run.unknown("a")
    run.wake()
    assert run.committed_first


def test_a_probe_needs_no_write() -> None:
    run = Run(chain("a", probe=True, policy=RetryPolicy(maximum_attempts=1)))
    run.unknown("a")
    assert run.asked == ["probe a#1"]
    assert not run.committed_first
