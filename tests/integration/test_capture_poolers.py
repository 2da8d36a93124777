"""Capture behind a real PgBouncer: rejected, with the address and the way out."""

import psycopg
import pytest

from kompensa_cdc.capture.checks import check_source
from kompensa_cdc.capture.errors import PostgresError
from kompensa_cdc.capture.outbox import outbox_from_object
from kompensa_cdc.capture.source import SETTINGS, connected
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run
from tests.integration.capture_source import database_of
from tests.integration.conftest_poolers import Pool
from tests.integration.outboxes import OUTBOX
from tests.support.pgbouncer import Mode, PgBouncer

SPEC = {"table": "orders.outbox", "topicPrefix": "shop", "events": ["order.created"]}


@pytest.fixture
def capture(postgres: PostgresServer, database: Login) -> Login:
    """A login that may capture the test's outbox."""
    login = postgres.create_capture_role(database.database)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(OUTBOX)
        connection.execute(f'GRANT USAGE ON SCHEMA orders TO "{login.username}"')
        connection.execute(f'GRANT SELECT ON orders.outbox TO "{login.username}"')
    return login


async def rejected(owner: Login, capture: Login) -> str:
    outbox = outbox_from_object("shop", "orders", SPEC)
    with pytest.raises(PostgresError) as caught:
        await check_source(outbox, owner=database_of(owner), capture=database_of(capture))
    return caught.value.message


async def test_both_logins_pass_directly(database: Login, capture: Login) -> None:
    outbox = outbox_from_object("shop", "orders", SPEC)
    table = await check_source(outbox, owner=database_of(database), capture=database_of(capture))
    assert table.name == "orders.outbox"


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_shared_pooler_is_rejected_for_the_owner(
    pool: Pool, database: Login, capture: Login, mode: Mode
) -> None:
    pooler = pool(mode)
    text = await rejected(pooler.login, capture)
    assert f"{pooler.login.host}:{pooler.login.port}" in text
    assert "Secret" in text


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
async def test_a_pooler_without_replication_is_rejected_for_capture(
    run: Run, database: Login, capture: Login, mode: Mode
) -> None:
    pooler = PgBouncer(run, capture, mode)
    text = await rejected(database, pooler.login)
    assert f"{pooler.login.host}:{pooler.login.port}" in text
    assert "replication" in text
    pooler.stop()


async def test_the_owner_may_come_through_session_mode(pool: Pool, database: Login, capture: Login) -> None:
    pooler = pool("session")
    async with connected(database_of(pooler.login), "looking") as connection:
        row = await (await connection.execute("SELECT current_setting('lock_timeout') AS found")).fetchone()
    assert row == {"found": SETTINGS["lock_timeout"]}
    outbox = outbox_from_object("shop", "orders", SPEC)
    await check_source(outbox, owner=database_of(pooler.login), capture=database_of(capture))
