"""What a status says about an effect, and how long to wait before asking again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompensa.model.outcomes import Direction, Outcome, outcome_of_probe, outcome_of_status
from kompensa.model.policies import RetryPolicy, interval


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 201, 204), Outcome.SUCCEEDED),
        ((202,), Outcome.UNKNOWN),
        ((409, 422), Outcome.FAILED),
        ((401, 403, 404, 405), Outcome.MISCONFIGURED),
        ((400, 410, 429, 500, 502, 503, 504), Outcome.UNKNOWN),
        ((301, 302, 307, 100), Outcome.UNKNOWN),
    ],
)
def test_an_action_is_judged_by_its_status(statuses: tuple[int, ...], outcome: Outcome) -> None:
    assert {outcome_of_status(status, Direction.ACTION) for status in statuses} == {outcome}


def test_what_is_gone_needs_no_compensation() -> None:
    assert outcome_of_status(410, Direction.COMPENSATION) is Outcome.SUCCEEDED


def test_a_key_that_another_body_has_used_proves_nothing() -> None:
    assert outcome_of_status(422, Direction.ACTION, "IdempotencyKeyReused") is Outcome.UNKNOWN
    assert outcome_of_status(422, Direction.ACTION, "PaymentDeclined") is Outcome.FAILED


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("Succeeded", Outcome.SUCCEEDED),
        ("Failed", Outcome.FAILED),
        ("Tombstoned", Outcome.FAILED),
        ("Absent", Outcome.ABSENT),
        ("succeeded", Outcome.UNKNOWN),
        (None, Outcome.UNKNOWN),
        (7, Outcome.UNKNOWN),
    ],
)
def test_a_probe_is_judged_by_its_state(state: object, outcome: Outcome) -> None:
    assert outcome_of_probe(state) is outcome


def test_intervals_grow_to_the_maximum() -> None:
    policy = RetryPolicy(initial_interval=0.2, backoff_coefficient=2.0, maximum_interval=1.0, jitter=0.0)
    assert [interval(policy, seed="s", attempt=n) for n in (1, 2, 3, 4, 5)] == [0.2, 0.4, 0.8, 1.0, 1.0]


@given(
    seed=st.text(max_size=20),
    attempt=st.integers(1, 10_000),
    jitter=st.floats(0, 1),
    coefficient=st.floats(1, 100),
)
def test_jitter_stays_within_its_share_however_many_attempts(
    seed: str, attempt: int, jitter: float, coefficient: float
) -> None:
    policy = RetryPolicy(backoff_coefficient=coefficient, maximum_interval=30.0, jitter=jitter)
    plain = interval(RetryPolicy(backoff_coefficient=coefficient, jitter=0.0), seed=seed, attempt=attempt)
    assert plain * (1 - jitter) - 1e-9 <= interval(policy, seed=seed, attempt=attempt) <= plain * (1 + jitter) + 1e-9


def test_jitter_is_the_same_in_a_replay_and_differs_between_sagas() -> None:
    policy = RetryPolicy(jitter=0.5)
    assert interval(policy, seed="a", attempt=1) == interval(policy, seed="a", attempt=1)
    assert len({interval(policy, seed=str(n), attempt=1) for n in range(100)}) > 90


def test_a_participants_wish_is_a_floor_and_no_ceiling() -> None:
    policy = RetryPolicy(initial_interval=10.0, jitter=0.0)
    assert interval(policy, seed="s", attempt=1, at_least=3.0) == 10.0
    assert interval(policy, seed="s", attempt=1, at_least=60.0) == 60.0
