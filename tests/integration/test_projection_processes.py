"""A projection's runner in processes that are killed or paused: each event counts once, and one runner writes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

from kompensa_eventstore.projections import turn
from tests.integration.eventstore_desk import Connection, Desk, is_up, pay, prepared, running, totals
from tests.support.waiting import until

PLACES = [("handler", 1), ("handler", 15), ("handler", 20), ("stored", 1), ("stored", 2), ("committed", 2)]
"""Places at which a process stops: the first event, the middle of a batch, its end, before and after the commit."""
EVENTS = "SELECT coalesce(max(events), 0) FROM projections WHERE name = 'totals'"
HOLDERS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"


@pytest.fixture
async def desk(database: Any) -> AsyncIterator[Desk]:
    async with prepared(database.url) as desk:
        yield desk


@pytest.fixture
async def connection(desk: Desk) -> AsyncIterator[Connection]:
    async with desk.connected() as connection:
        yield connection


@contextmanager
def process(desk: Desk, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "tests.integration.projection_process", desk.url, *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def has_stopped(started: subprocess.Popen[str]) -> bool:
    return output(started).readline() == "here\n"


def output(started: subprocess.Popen[str]) -> IO[str]:
    assert started.stdout is not None
    return started.stdout


@pytest.mark.parametrize(("place", "at"), PLACES)
async def test_an_event_counts_once_if_its_runner_is_killed(
    desk: Desk, connection: Connection, place: str, at: int
) -> None:
    await pay(connection, orders=5, times=8)
    with process(desk, "run", "--stop-in", place, "--at", str(at)) as runner:
        assert has_stopped(runner)
        runner.send_signal(signal.SIGKILL)
    passed = desk.asked(EVENTS)
    assert passed % 10 == 0, "whole batches"
    assert desk.asked("SELECT coalesce(sum(total), 0) FROM totals") == passed
    async with running(desk, totals()):
        await until(lambda: is_up(desk), "all events, each once")
    assert desk.asked(EVENTS) == 40


@pytest.mark.parametrize("place", ["stored", "committed"])
async def test_a_paused_runner_cannot_write_when_it_wakes_after_another_took_over(
    desk: Desk, connection: Connection, place: str
) -> None:
    """The paused process keeps its connection, so only another runner can end its session."""
    await pay(connection, orders=5, times=8)
    with process(desk, "run", "--stop-in", place, "--silent-seconds", "1.5") as paused:
        assert has_stopped(paused)
        paused.send_signal(signal.SIGSTOP)
        async with running(desk, totals(), silent_seconds=1.5):
            await until(lambda: is_up(desk), "the other runner to take over")
            before = desk.asked("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1")
            paused.send_signal(signal.SIGCONT)
            await pay(connection, orders=1, times=5)
            await until(lambda: is_up(desk), "the other runner to go on")
            after = desk.asked("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1")
            assert before == after
    assert desk.asked(EVENTS) == 45


async def test_a_runner_that_only_waits_for_events_keeps_its_turn(desk: Desk, connection: Connection) -> None:
    await pay(connection, orders=1, times=1)
    holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objsubid = 1"
    async with running(desk, totals(), silent_seconds=0.9):
        await until(lambda: is_up(desk), "the event")
        first = desk.asked(holder)
        async with running(desk, totals(), silent_seconds=0.9):
            for _ in range(3):
                await until(lambda: desk.asked(waiting), "the second to wait")
                await until(lambda: not desk.asked(waiting), "the second to look whether the first hangs")
            assert desk.asked(holder) == first


async def test_a_killed_rebuild_is_continued(desk: Desk, connection: Connection) -> None:
    await pay(connection, orders=5, times=8)
    with process(desk, "rebuild", "--stop-in", "stored", "--at", "3") as killed:
        assert has_stopped(killed)
        killed.send_signal(signal.SIGKILL)
    assert desk.asked("SELECT events FROM projections WHERE name = 'totals__next'") == 20
    with process(desk, "rebuild") as again:
        assert output(again).readline() == "20\n"
    assert is_up(desk)


def test_a_sign_of_life_comes_more_often_than_the_silence_of_a_hanging_runner() -> None:
    assert 2 * turn.SIGN_OF_LIFE_SECONDS < turn.SILENT_SECONDS
