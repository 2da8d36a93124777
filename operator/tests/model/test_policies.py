"""How long to wait before asking again."""

from hypothesis import given
from hypothesis import strategies as st

from kompensa.model.policies import RetryPolicy, interval


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
