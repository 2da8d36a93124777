"""Every combination of two faults, one at any point of a saga's life: enumerated, not drawn at random.

A fault is a lost request, a lost or late reply, a misdirected call, a crash with or without the writes and requests
that were under way, a cancellation or a suspension.
"""

import pytest

from kompensa.model.definition import Definition
from kompensa.model.events import CancelAsked, ResumeAsked
from kompensa.model.policies import RetryPolicy
from tests.support.saga_definitions import chain, definition, step
from tests.support.saga_verdict import verify
from tests.support.saga_world import SagaWorld, explore

ONE = RetryPolicy(initial_interval=1.0, maximum_attempts=1)
TWO = RetryPolicy(initial_interval=1.0, maximum_attempts=2)


def diamond() -> Definition:
    return definition(
        step("a", policy=ONE),
        step("b", index=1, depends_on=[0], depth=1, policy=ONE),
        step("c", index=2, depends_on=[0], depth=1, policy=ONE),
        step("d", index=3, depends_on=[1, 2], depth=2, policy=ONE),
    )


SHAPES = {
    "keyed": chain("a", "b", "c!", policy=TWO, compensation_policy=TWO),
    "keyed, no second attempt": chain("a", "b", "c!", policy=ONE, compensation_policy=TWO),
    "without keys": chain("a", "b", "c!", policy=TWO, compensation_policy=TWO, keyed=False),
    "probed": chain("a", "b", "c", policy=ONE, compensation_policy=TWO, probe=True),
    "one step without keys between keyed ones": definition(
        step("a", policy=ONE),
        step("b", index=1, depends_on=[0], depth=1, policy=ONE, keyed=False),
        step("c", index=2, depends_on=[1], depth=2, policy=ONE),
    ),
    "side by side": diamond(),
}


@pytest.mark.parametrize("person", [ResumeAsked(), CancelAsked()], ids=["resume", "cancel"])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_two_faults_leave_a_saga_half_done(shape: str, person: ResumeAsked | CancelAsked) -> None:
    ended = 0
    for world in explore(SagaWorld(SHAPES[shape], person=person), faults=2):
        verify(world)
        ended += 1
    assert ended > 300


@pytest.mark.parametrize("refusing", [0, 1, 2])
def test_no_two_faults_leave_a_refused_saga_half_done(refusing: int) -> None:
    for world in explore(SagaWorld(SHAPES["keyed"], refusing=frozenset({refusing})), faults=2):
        verify(world)


@pytest.mark.parametrize("refusing", [frozenset[int](), frozenset({1})], ids=["all agree", "b refuses"])
def test_no_two_faults_leave_an_effect_at_participants_that_refuse_what_they_have_done(
    refusing: frozenset[int],
) -> None:
    shape = chain("a", "b", "c", policy=TWO, compensation_policy=TWO)
    for world in explore(SagaWorld(shape, refusing=refusing, doubting=True), faults=2):
        verify(world)


def test_no_three_faults_leave_a_small_saga_half_done() -> None:
    for world in explore(SagaWorld(chain("a", "b!", policy=ONE, compensation_policy=ONE)), faults=3):
        verify(world)
