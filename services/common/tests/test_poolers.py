"""Which pooler answers, by the process ids that two connections get."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import chain, cycle, repeat

import pytest

from kompensa_common.poolers import Pooling, pooling_of, refusal


class Scripted:
    """A connection with an announced id, and the ids of its statements."""

    def __init__(self, announced: int, pids: Iterator[int]) -> None:
        self._announced = announced
        self._pids = pids

    def announced_pid(self) -> int:
        return self._announced

    async def pid(self) -> int:
        return next(self._pids)


def opening(second: Scripted) -> Callable[[], object]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Scripted]:
        yield second

    return opened


async def test_a_server_announces_the_process_that_answers() -> None:
    def never() -> object:
        raise AssertionError("no second connection is needed")

    assert await pooling_of(Scripted(7, repeat(7)), never) is Pooling.NONE  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (repeat(7), repeat(8), Pooling.SESSION),
        (repeat(7), repeat(7), Pooling.SHARED),  # the process that was used last
        (chain([7, 7, 8], repeat(7)), repeat(9), Pooling.SHARED),  # each in turn
        (repeat(7), chain([8, 8, 7], repeat(8)), Pooling.SHARED),  # only seen in the third round
        (cycle([7, 7, 7, 7, 8]), repeat(9), Pooling.SHARED),
    ],
)
async def test_a_pooler_is_known_by_the_processes_of_two_connections(
    first: Iterator[int], second: Iterator[int], found: Pooling
) -> None:
    opened = opening(Scripted(-2, second))
    assert await pooling_of(Scripted(-1, first), opened) is found  # type: ignore[arg-type]


def test_the_refusal_names_the_address_the_reason_and_the_way_out() -> None:
    text = refusal("db:6432/orders", because="notifications are lost")
    assert all(part in text for part in ("db:6432/orders", "transaction", "notifications are lost", "direct URL"))
