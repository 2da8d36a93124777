"""The tasks of one lease."""

import asyncio

import pytest

from kompensa.engine.lease_tasks import LeaseTasks
from kompensa.journal.errors import StaleLeaseError


async def fail(error: Exception) -> None:
    raise error


async def test_a_task_that_finds_the_lease_gone_says_so() -> None:
    lost = asyncio.Event()
    await LeaseTasks(lost).spawn(fail(StaleLeaseError("epoch 1 is over")))
    assert lost.is_set()


async def test_a_fault_in_one_task_is_logged_and_ends_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    lost = asyncio.Event()
    tasks = LeaseTasks(lost)
    other = tasks.spawn(asyncio.sleep(60))
    await tasks.spawn(fail(ValueError("a rule is wrong")))
    assert (lost.is_set(), other.done()) == (False, False)
    assert "a rule is wrong" in capsys.readouterr().out
    tasks.cancel()


async def test_all_tasks_end_with_the_lease() -> None:
    tasks = LeaseTasks(asyncio.Event())
    spawned = [tasks.spawn(asyncio.sleep(3600)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks.cancel()
    await asyncio.wait(spawned, timeout=1.0)
    assert all(task.cancelled() for task in spawned)
