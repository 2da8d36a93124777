"""One heap for all sagas' timers."""

import asyncio

import pytest

from kompensa.engine.timers import Timers
from tests.support.virtual_time import elapsed


class Woken:
    def __init__(self) -> None:
        self.timers = Timers(elapsed, self.due)
        self.log: list[tuple[str, float]] = []

    def due(self, key: str) -> None:
        self.log.append((key, elapsed()))

    async def after(self, seconds: float) -> list[tuple[str, float]]:
        await asyncio.sleep(seconds)
        return [(key, round(at, 1)) for key, at in self.log]


async def test_each_is_woken_at_its_time_whatever_the_order_of_setting() -> None:
    woken = Woken()
    for key, at in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        woken.timers.set(key, at)
    assert await woken.after(5) == [("a", 1.0), ("b", 2.0), ("c", 3.0)]
    assert len(woken.timers) == 0


@pytest.mark.parametrize("second", [1.0, 4.0])
async def test_a_new_time_takes_the_place_of_the_old_one(second: float) -> None:
    woken = Woken()
    woken.timers.set("a", 2.0)
    woken.timers.set("a", second)
    assert await woken.after(5) == [("a", second)]


async def test_none_takes_a_timer_away() -> None:
    woken = Woken()
    woken.timers.set("a", 1.0)
    woken.timers.set("b", 2.0)
    woken.timers.set("a", None)
    woken.timers.set("unheard-of", None)
    assert await woken.after(5) == [("b", 2.0)]


async def test_a_time_that_has_passed_wakes_at_once_but_not_inside_the_call() -> None:
    woken = Woken()
    await asyncio.sleep(10)
    woken.timers.set("a", 1.0)
    assert woken.log == []
    assert [key for key, _ in await woken.after(0.1)] == ["a"]


async def test_the_same_time_set_again_costs_nothing() -> None:
    woken = Woken()
    for _ in range(1000):
        woken.timers.set("a", 1.0)
    assert len(woken.timers._heap) == 1


async def test_who_is_woken_may_set_the_next_timer() -> None:
    woken = Woken()
    times = iter([2.0, 3.0, None])

    def again(key: str) -> None:
        woken.due(key)
        woken.timers.set(key, next(times))

    woken.timers._due = again
    woken.timers.set("a", 1.0)
    assert await woken.after(9) == [("a", 1.0), ("a", 2.0), ("a", 3.0)]


async def test_a_clock_that_went_back_wakes_nobody_early() -> None:
    woken = Woken()
    back = 0.0
    woken.timers = Timers(lambda: elapsed() - back, woken.due)
    woken.timers.set("a", 2.0)
    back = 5.0
    assert await woken.after(4) == []
    assert await woken.after(4) == [("a", 7.0)]


async def test_a_clock_that_was_wrong_for_a_while_wakes_within_a_second_of_its_correction() -> None:
    woken = Woken()
    back = 3600.0
    woken.timers = Timers(lambda: elapsed() - back, woken.due)
    woken.timers.set("a", 2.0)
    await asyncio.sleep(10.5)
    back = 0.0
    assert await woken.after(1) == [("a", 11.0)]


async def test_timers_that_were_taken_away_cost_nothing_for_long() -> None:
    woken = Woken()
    woken.timers.set("stays", 2.0)
    for number in range(10_000):
        woken.timers.set(f"ends early {number}", 86_400.0)
        woken.timers.set(f"ends early {number}", None)
    for number in range(10_000):
        woken.timers.set("moves", 1_000.0 + number)
    assert len(woken.timers._heap) < 1_100
    assert await woken.after(3) == [("stays", 2.0)]


async def test_after_closing_nobody_is_woken() -> None:
    woken = Woken()
    woken.timers.set("a", 1.0)
    woken.timers.close()
    assert await woken.after(5) == []
