"""Poolers in front of a test's own database, and other clients that keep them busy."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from kompensa_dev.postgres import Login
from kompensa_dev.run import Run
from tests.support.pgbouncer import Mode, PgBouncer

Pool = Callable[..., PgBouncer]


@pytest.fixture
def pool(run: Run, database: Login) -> Iterator[Pool]:
    """`pool(mode)` starts a pooler in front of the test's database."""
    started: list[PgBouncer] = []

    def start(mode: Mode, **settings: str) -> PgBouncer:
        started.append(PgBouncer(run, database, mode, **settings))
        return started[-1]

    yield start
    for pooler in started:
        pooler.stop()


@asynccontextmanager
async def busy(pooler: PgBouncer, *, clients: int) -> AsyncIterator[None]:
    """Other clients whose statements follow each other without a pause."""

    async def client() -> None:
        connection = await asyncpg.connect(pooler.url, statement_cache_size=0)
        while True:
            await connection.execute("SELECT 1")

    tasks = [asyncio.create_task(client()) for _ in range(clients)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
