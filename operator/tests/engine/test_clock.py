"""A wall clock that is set back does not hold up what waits for a time."""

import asyncio

import pytest

from kompensa.engine.clock import SteadyClock
from kompensa.engine.timers import Timers
from tests.support.virtual_time import elapsed, wall_clock


class Wall:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.wrong_by = 0.0
        self.steady = SteadyClock(self, elapsed)

    def __call__(self) -> float:
        return wall_clock() + self.wrong_by


async def test_it_follows_the_wall_clock_also_when_that_is_set_forward() -> None:
    wall = Wall()
    for wrong_by in (0.0, 0.5, 3600.0):
        wall.wrong_by = wrong_by
        await asyncio.sleep(1)
        assert wall.steady() == wall()


async def test_set_back_it_goes_on_at_half_its_pace_until_the_wall_clock_has_caught_up() -> None:
    wall = Wall()
    began = wall.steady()
    wall.wrong_by = -10.0
    read = []
    for _ in range(6):
        await asyncio.sleep(4)
        read.append(wall.steady() - began)
    assert read == pytest.approx([2, 4, 6, 8, 10, 14])


async def test_a_wait_takes_twice_as_long_at_most_when_the_clock_is_set_back() -> None:
    wall = Wall()
    woken: list[float] = []
    timers = Timers(wall.steady, lambda _: woken.append(elapsed()))
    timers.set("set before", wall.steady() + 10)
    wall.wrong_by = -3600.0
    timers.set("set after", wall.steady() + 20)
    await asyncio.sleep(60)
    assert woken == pytest.approx([20, 40], abs=0.1)


async def test_a_step_that_is_mended_costs_nothing_more() -> None:
    wall = Wall()
    began = wall.steady()
    wall.wrong_by = -3600.0
    await asyncio.sleep(10)
    wall.wrong_by = 0.0
    assert wall.steady() - began == pytest.approx(10)
