"""The journal behind a real PgBouncer: session mode works, other modes are rejected with the way out."""

import asyncio

import asyncpg
import pytest

from kompensa.journal.errors import JournalUnavailableError
from kompensa.journal.postgres import PostgresJournal, connections
from kompensa.journal.postgres.connections import SETTINGS, connect
from kompensa.journal.postgres.pooler import PoolerError
from tests.integration.conftest_poolers import Pool, busy
from tests.support.journal_rows import acceptance, joined, written
from tests.support.pgbouncer import Mode
from tests.support.waiting import until

SHARED: tuple[Mode, ...] = ("transaction", "statement")


@pytest.mark.parametrize("mode", SHARED)
async def test_the_journal_rejects_a_pooler_that_shares_server_processes(pool: Pool, mode: Mode) -> None:
    pooler = pool(mode)
    with pytest.raises(PoolerError) as rejected:
        await PostgresJournal(pooler.url).open()
    assert f"{pooler.login.host}:{pooler.login.port}/{pooler.login.database}" in str(rejected.value)
    assert "direct URL" in str(rejected.value)
    assert pooler.login.password not in str(rejected.value)


async def test_round_robin_does_not_hide_that_processes_are_shared(pool: Pool) -> None:
    with pytest.raises(PoolerError):
        await PostgresJournal(pool("transaction", server_round_robin="1", min_pool_size="3").url).open()


async def test_other_clients_do_not_hide_that_processes_are_shared(pool: Pool) -> None:
    pooler = pool("transaction")
    async with busy(pooler, clients=8):
        for _ in range(5):
            with pytest.raises(PoolerError):
                await PostgresJournal(pooler.url).open()


async def test_a_rejected_pooler_keeps_no_setting_of_ours(pool: Pool) -> None:
    """Another client would get them with the server process: sequential scans switched off, for example."""
    pooler = pool("transaction")
    with pytest.raises(PoolerError):
        await PostgresJournal(pooler.url).open()
    other = await asyncpg.connect(pooler.url, statement_cache_size=0)
    assert [await other.fetchval("SELECT current_setting($1)", name) for name in ("enable_seqscan", "jit")] == [
        "on"
    ] * 2
    await other.close()


async def test_the_journal_works_behind_a_pooler_in_session_mode(pool: Pool) -> None:
    url = pool("session").url
    first, second = PostgresJournal(url), PostgresJournal(url)
    moved = asyncio.Event()
    first.watch("shards", moved.set)
    await first.open()
    await second.open()
    await until(moved.is_set, "the first reading")
    moved.clear()
    lease = await joined(second)
    await until(moved.is_set, "the notification of a shard")
    await written(second, lease, acceptance())
    connection = await connect(url, application="test")
    found = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in SETTINGS}
    assert found == SETTINGS
    connection.terminate()
    await first.close()
    await second.close()


async def test_a_pooler_with_too_few_server_processes_is_named(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STATEMENT_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(JournalUnavailableError, match="default_pool_size"):
        await PostgresJournal(pool("session", default_pool_size="1").url).open()
