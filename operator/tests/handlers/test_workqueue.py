"""Guarantees for handlers: the newest item wins, one worker for each key, retries until success, limits that hold."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from kompensa.handlers import workqueue
from kompensa.handlers.workqueue import RetryLaterError, WorkQueue
from kompensa_common.backoff import Backoff

Work = Callable[[str, int], Awaitable[float | None]]


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "RETRY", Backoff(first=0.0, longest=0.0))


@asynccontextmanager
async def running(work: Work, *, workers: int = 2, limit: int = 100) -> AsyncIterator[WorkQueue[str]]:
    queue: WorkQueue[str] = WorkQueue("test", work, workers=workers, limit=limit)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 -- what is waited for is the state of the queue itself
            await asyncio.sleep(0)


async def test_a_failed_key_is_tried_again_with_the_number_of_the_attempt() -> None:
    attempts: list[int] = []

    async def work(_: str, attempt: int) -> None:
        attempts.append(attempt)
        if attempt < 3:
            raise RetryLaterError("not yet")

    async with running(work) as queue:
        await queue.offer("a", "item")
        await until(lambda: attempts == [0, 1, 2, 3])
        await until(lambda: queue.item("a") is None)


async def test_a_defect_in_the_work_does_not_stop_the_worker() -> None:
    done: list[str] = []

    async def work(item: str, attempt: int) -> None:
        if item == "broken" and attempt == 0:
            raise ZeroDivisionError
        done.append(item)

    async with running(work, workers=1) as queue:
        await queue.offer("a", "broken")
        await queue.offer("b", "fine")
        await until(lambda: sorted(done) == ["broken", "fine"])


async def test_the_newest_item_is_worked_on_and_never_two_at_a_time() -> None:
    gate, seen, at_once = asyncio.Event(), [], 0

    async def work(item: str, _: int) -> None:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        seen.append(item)
        await gate.wait()
        at_once -= 1

    async with running(work) as queue:
        await queue.offer("a", "first")
        await until(lambda: seen == ["first"])
        await queue.offer("a", "second")
        await queue.offer("a", "third")
        gate.set()
        await until(lambda: queue.item("a") is None)
    assert seen == ["first", "third"]


async def test_an_echo_of_our_own_write_wakes_nobody_but_is_remembered() -> None:
    seen: list[str] = []

    async def work(item: str, _: int) -> float:
        seen.append(item)
        return 3600.0

    async with running(work) as queue:
        await queue.offer("a", "first")
        await until(lambda: seen == ["first"])
        await queue.offer("a", "echo", wake=False)
        assert queue.item("a") == "echo"
        queue.wake("a")
        await until(lambda: seen == ["first", "echo"])


async def test_a_key_that_asked_to_be_repeated_is_repeated() -> None:
    count = 0

    async def work(_: str, __: int) -> float | None:
        nonlocal count
        count += 1
        return 0.0 if count < 4 else None

    async with running(work) as queue:
        await queue.offer("a", "item")
        await until(lambda: count == 4)


async def test_whoever_offers_more_than_the_bound_waits() -> None:
    gate = asyncio.Event()

    async def work(_: str, __: int) -> None:
        await gate.wait()

    async with running(work, workers=1, limit=2) as queue:
        for key in ("busy", "b", "c"):
            await queue.offer(key, key)
            await until(lambda: True)
        await asyncio.sleep(0)
        offering = asyncio.ensure_future(asyncio.gather(queue.offer("d", "d"), queue.offer("e", "e")))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not offering.done()
        gate.set()
        await asyncio.wait_for(offering, 60)


async def test_a_dropped_key_is_not_worked_on_again() -> None:
    count = 0

    async def work(_: str, __: int) -> float:
        nonlocal count
        count += 1
        return 3600.0

    async with running(work) as queue:
        await queue.offer("a", "item")
        await until(lambda: count == 1)
        queue.drop("a")
        queue.wake("a")
        assert queue.item("a") is None


async def test_work_that_hangs_is_ended_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workqueue, "ATTEMPT_SECONDS", 0.01)
    attempts: list[int] = []

    async def work(_: str, attempt: int) -> None:
        attempts.append(attempt)
        if attempt == 0:
            await asyncio.Event().wait()

    async with running(work, workers=1) as queue:
        await queue.offer("a", "item")
        await until(lambda: attempts == [0, 1])


async def test_the_age_of_the_oldest_waiting_key_is_known() -> None:
    gate = asyncio.Event()

    async def work(_: str, __: int) -> None:
        await gate.wait()

    async with running(work, workers=1) as queue:
        assert queue.oldest() == 0.0
        await queue.offer("busy", "x")
        await queue.offer("waiting", "y")
        await until(lambda: queue.oldest() > 0.0)
        gate.set()
        await until(lambda: queue.oldest() == 0.0)


async def test_a_key_woken_while_it_is_worked_on_is_worked_on_once_more() -> None:
    gate, count = asyncio.Event(), 0

    async def work(_: str, __: int) -> None:
        nonlocal count
        count += 1
        await gate.wait()

    async with running(work) as queue:
        await queue.offer("a", "item")
        await until(lambda: count == 1)
        queue.wake("a")
        gate.set()
        await until(lambda: count == 2)
        await until(lambda: queue.items() == [])
