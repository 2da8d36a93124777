"""A replica's worker writes through a real PgBouncer."""

import pytest

from kompensa_cdc.replicas.row_writer import COPY_FROM_ROWS
from kompensa_common.sessions import PoolerError, keeps_its_process
from kompensa_consumer.database import SETTINGS, connect
from kompensa_dev.postgres import Login
from tests.support.pgbouncer import Mode

from .conftest_poolers import Pool, busy
from .copies import Change, expected_rows, read_rows
from .writer_desk import desk

WANTED = {"statement_timeout": "1min", "lock_timeout": "20s", "timezone": "UTC"}


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_settings_hold_in_and_outside_of_a_transaction(pool: Pool, mode: Mode) -> None:
    assert WANTED.keys() <= SETTINGS.keys()
    query = "SELECT current_setting(name) FROM unnest(%s::text[]) AS setting (name)"
    async with await connect(pool(mode).url) as connection:
        alone = await (await connection.execute(query, (list(WANTED),))).fetchall()
        async with connection.transaction():
            within = await (await connection.execute(query, (list(WANTED),))).fetchall()
    assert [value for (value,) in alone] == [value for (value,) in within] == list(WANTED.values())


@pytest.mark.parametrize(("mode", "kept"), [("transaction", False), ("session", True)])
async def test_temporary_tables_are_used_only_where_they_stay(pool: Pool, mode: Mode, kept: bool) -> None:
    async with await connect(pool(mode).url) as connection:
        assert keeps_its_process(connection) is kept


@pytest.mark.parametrize("mode", ["transaction", "session"])
async def test_small_and_large_batches_arrive_while_others_use_the_pooler(
    pool: Pool, target: Login, mode: Mode
) -> None:
    changes = [
        Change(key=f"{number:08x}-0000-4000-8000-000000000000", version=1) for number in range(COPY_FROM_ROWS + 1)
    ]
    pooler = pool(mode)
    async with busy(pooler, clients=4), desk(pooler.login) as writing:
        for batch in (changes[:1], changes[1:9], changes):
            await writing.write(batch)
    assert read_rows(target.url) == expected_rows(changes)


async def test_the_worker_rejects_statement_mode(pool: Pool) -> None:
    pooler = pool("statement")
    with pytest.raises(PoolerError, match=f"{pooler.login.host}:{pooler.login.port}"):
        await connect(pooler.url)
