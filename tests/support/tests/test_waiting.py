"""A wait ends with the awaited value, or with an error that shows the last one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.waiting import eventually, until


async def test_a_condition_may_be_a_coroutine() -> None:
    answers = iter([None, "", "here"])

    async def look() -> str | None:
        return next(answers)

    assert await until(look, "an answer") == "here"
    assert await until(lambda: "there", "an answer") == "there"


async def test_the_last_seen_value_is_in_the_failure() -> None:
    with pytest.raises(AssertionError, match="for an answer; last seen: 0"):
        await until(lambda: 0, "an answer", seconds=0.01)
    with pytest.raises(AssertionError, match="for an answer; last seen: 1"):
        eventually(lambda: 1, "an answer", is_right=lambda value: value > 1, seconds=0.01, every=0.001)


def test_only_tolerated_errors_mean_not_yet() -> None:
    def refused() -> bool:
        raise ConnectionRefusedError("nobody listens")

    with pytest.raises(AssertionError, match="nobody listens"):
        eventually(refused, "a server", seconds=0.01, every=0.001, tolerate=(OSError,))
    with pytest.raises(ConnectionRefusedError):
        eventually(refused, "a server", seconds=0.01, every=0.001)


def test_an_error_is_followed_by_another_look() -> None:
    answers: Iterator[OSError | str] = iter([OSError("not yet"), "here"])

    def look() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    assert eventually(look, "an answer", tolerate=(OSError,), every=0.001) == "here"
