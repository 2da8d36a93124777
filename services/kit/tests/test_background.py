"""Work next to requests: it ends with the service, and begins again if it fails."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from psycopg_pool import AsyncConnectionPool

from kompensa_common.sessions import Session
from kompensa_participant import background
from kompensa_participant.background import Pool, running


@pytest.fixture
def pool() -> Pool:
    return AsyncConnectionPool("postgresql://nowhere", connection_class=Session, open=False)


async def test_work_that_fails_begins_again(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RESTART_SECONDS", 0)
    begun, twice = 0, asyncio.Event()

    async def fail_once(_: Pool) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise RuntimeError("no database")
        twice.set()
        await asyncio.Event().wait()

    async with running([fail_once], pool):
        await asyncio.wait_for(twice.wait(), 20)
    assert begun == 2


async def test_work_that_loses_a_cancellation_ends_too(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `asyncio.wait_for` of Python 3.11 can lose it."""
    monkeypatch.setattr(background, "CANCEL_AGAIN_SECONDS", 0.01)
    begun, lost = asyncio.Event(), asyncio.Event()

    async def work(_: Pool) -> None:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        lost.set()
        await asyncio.Event().wait()

    async def run() -> None:
        async with running([work], pool):
            await begun.wait()

    await asyncio.wait_for(run(), 20)
    assert lost.is_set()


async def test_work_ends_with_the_service(pool: Pool) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work(_: Pool) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with running([work], pool):
        await asyncio.wait_for(begun.wait(), 20)
    assert ended.is_set()
