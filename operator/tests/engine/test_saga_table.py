"""The sagas in memory: one copy of each, counted by number, suspension and size."""

import pytest
from prometheus_client import REGISTRY

from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.saga_rows import stored_saga
from kompensa.engine.saga_table import SagaTable
from kompensa.model.events import Replied, ResumeAsked, SuspendAsked
from kompensa.model.outcomes import Direction, Outcome
from tests.support.running_sagas import a_saga
from tests.support.virtual_time import START

NO_ANSWER = Replied(step=0, direction=Direction.ACTION, attempt=1, outcome=Outcome.UNKNOWN, reply={})


def copy_of(running: RunningSaga) -> RunningSaga:
    """The same saga as its row gives it."""
    row = running.acceptance(0.0).row
    return RunningSaga.recovered(row, stored_saga(row), running.definition)


def test_a_saga_is_found_until_it_leaves() -> None:
    table, running = SagaTable(), a_saga()
    table.enter(running)
    assert table.get(running.saga.id) is running
    assert (running.saga.id in table, list(table), len(table)) == (True, [running], 1)
    assert REGISTRY.get_sample_value("kompensa_sagas_in_flight") == 1
    assert table.leave(running)
    assert (table.get(running.saga.id), len(table)) == (None, 0)
    assert REGISTRY.get_sample_value("kompensa_sagas_in_flight") == 0


def test_a_copy_that_is_not_in_memory_cannot_make_the_other_leave() -> None:
    table, running = SagaTable(), a_saga()
    table.enter(running)
    other = copy_of(running)
    assert (table.holds(running), table.holds(other)) == (True, False)
    assert not table.leave(other)
    assert table.holds(running)


def test_the_weight_is_the_size_of_all_inputs_whether_new_or_recovered() -> None:
    table, running = SagaTable(), a_saga(input={"text": "x" * 10}, deletion_policy="Orphan")
    recovered = copy_of(running)
    assert running.weight == recovered.weight == len('{"text":"xxxxxxxxxx"}')
    table.enter(running)
    assert table.weight == running.weight
    table.leave(running)
    table.leave(running)
    assert table.weight == 0


def test_suspended_sagas_are_not_counted_as_busy() -> None:
    table, running = SagaTable(), a_saga()
    table.enter(running)
    table.enter(a_saga())
    running.advance(SuspendAsked(), START)
    table.count_suspended(running)
    assert table.busy == 1
    running.advance(ResumeAsked(), START)
    table.count_suspended(running)
    assert table.busy == 2


def test_a_suspended_saga_that_left_is_counted_no_more() -> None:
    table, running = SagaTable(), a_saga()
    table.enter(running)
    running.advance(SuspendAsked(), START)
    table.count_suspended(running)
    table.leave(running)
    assert table.busy == 0


def test_sagas_are_found_by_their_shards() -> None:
    table = SagaTable()
    first, second, third = a_saga(shard=1), a_saga(shard=2), a_saga(shard=3)
    for running in (first, second, third):
        table.enter(running)
    assert table.of_shards({1, 3}) == [first, third]


def table_with_a_retry() -> tuple[SagaTable, RunningSaga, float]:
    """A saga whose first call was not answered, and when it is due again."""
    table, running = SagaTable(), a_saga()
    running.advance(NO_ANSWER, START + 1)
    table.enter(running)
    assert running.wake_at is not None
    return table, running, running.wake_at


@pytest.mark.parametrize(("late", "found"), [(29.0, True), (31.0, False)])
def test_a_saga_is_overdue_once_its_time_came_long_enough_ago(late: float, found: bool) -> None:
    table, running, due = table_with_a_retry()
    assert (table.overdue(due + 30.0, late=late) == [running]) is found


def test_a_saga_without_a_timer_is_never_overdue() -> None:
    table = SagaTable()
    table.enter(a_saga())
    assert table.overdue(START + 1e6, late=30.0) == []


def test_a_saga_that_is_being_driven_is_not_overdue() -> None:
    table, running, due = table_with_a_retry()
    running.begin_driving()
    assert table.overdue(due + 1000.0, late=30.0) == []
