"""Waits double, have an end, and differ between those who wait."""

from __future__ import annotations

from kompensa_common.backoff import Backoff


def test_waits_double_up_to_the_longest() -> None:
    exact = Backoff(first=5.0, longest=300.0, spread=0.0)
    assert [exact.pause(failures) for failures in (1, 2, 3, 7, 10_000)] == [5.0, 10.0, 20.0, 300.0, 300.0]


def test_a_wait_is_shortened_by_at_most_the_spread() -> None:
    waits = {Backoff(first=1.0, longest=10.0).pause(1) for _ in range(50)}
    assert len(waits) > 1
    assert all(0.5 <= wait <= 1.0 for wait in waits)
