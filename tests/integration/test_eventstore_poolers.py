"""Readers of the event store behind a real PgBouncer."""

import asyncio

import pytest

from kompensa_dev.postgres import Login
from kompensa_eventstore import PoolerError
from kompensa_eventstore.projections import ProjectionRunner
from tests.integration.conftest_poolers import Pool
from tests.integration.eventstore_desk import SCHEMA, pay, prepared, totals
from tests.support.pgbouncer import Mode

SHARED: tuple[Mode, ...] = ("transaction", "statement")


@pytest.mark.parametrize("mode", SHARED)
async def test_following_a_feed_is_rejected_behind_a_shared_pooler(pool: Pool, database: Login, mode: Mode) -> None:
    async with prepared(database.url) as desk:
        pooler = pool(mode)
        desk.url = pooler.url
        with pytest.raises(PoolerError, match=f":{pooler.login.port}/{pooler.login.database}"):
            await anext(desk.feed.follow(desk.connect))


async def test_a_projection_is_rejected_behind_a_shared_pooler(pool: Pool, database: Login) -> None:
    async with prepared(database.url) as desk:
        desk.url = pool("transaction").url
        runner = ProjectionRunner(totals(), desk.feed, desk.connect, schema=SCHEMA)
        with pytest.raises(PoolerError):
            await runner.run()


async def test_events_arrive_through_session_mode(pool: Pool, database: Login) -> None:
    async with prepared(database.url) as desk:
        desk.url = pool("session").url
        feed = desk.feed.follow(desk.connect)
        first = asyncio.ensure_future(anext(feed))
        async with desk.connected() as connection:
            await pay(connection, orders=1, times=1)
        (found,) = await asyncio.wait_for(first, 20)
        assert found.type == "PAID"
