"""A service with the kit behind a real PgBouncer: transaction and session mode work, statement mode is rejected."""

import asyncio
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kompensa_common.sessions import PoolerError
from kompensa_dev.ports import Ports
from kompensa_dev.postgres import Login
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from kompensa_participant import service as service_module
from kompensa_participant.migrations import migrate
from tests.integration.conftest_participants import Participant, serve
from tests.integration.conftest_poolers import Pool, busy
from tests.support.http import call
from tests.support.pgbouncer import Mode
from tests.support.waiting import eventually

Start = Callable[..., Process]
ANA = "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0001"
GRANT = {"customerId": ANA, "points": 10}
POOLED: tuple[Mode, ...] = ("transaction", "session")


@pytest.fixture
def start(run: Run, example_folder: Path) -> Start:
    """`start(verb, url)` runs `python3 -m points <verb>`, the example of the kit's README."""

    def started(verb: str, url: str, **environment: str) -> Process:
        given = {"DATABASE_URL": url, "PYTHONPATH": str(example_folder), **environment}
        argv = [sys.executable, "-m", "points", verb]
        return run.start(Program(name=f"{verb}-{secrets.token_hex(4)}", argv=argv, environment=given))

    return started


async def granted_and_revoked(points: Participant) -> None:
    """One saga: an action, its repetition, and its compensation."""
    saga = points.saga()
    replies = [await saga.action("/grants", GRANT), await saga.action("/grants", GRANT)]
    assert [reply.status_code for reply in replies] == [201, 201]
    assert (await saga.compensation("/grants/revoke")).status_code == 200
    assert (await saga.probe("compensation"))["state"] == "Succeeded"


@pytest.mark.parametrize("mode", POOLED)
async def test_sagas_run_through_a_pooler_that_others_use(pool: Pool, points_module: Any, mode: Mode) -> None:
    pooler = pool(mode)
    async with serve(points_module.service, pooler.login) as points, busy(pooler, clients=4):
        await asyncio.gather(*(granted_and_revoked(points) for _ in range(30)))
        assert (await points.client.get("/readyz")).status_code == 200
        assert points.value("SELECT coalesce(sum(points), 0)::int FROM points.balances") == 0


@pytest.mark.parametrize("mode", POOLED)
async def test_settings_hold_in_each_transaction(pool: Pool, points_module: Any, mode: Mode) -> None:
    async with serve(points_module.service, pool(mode).login) as points:
        app: Any = points.client._transport
        wanted = {"search_path": "points", **service_module.SETTINGS}
        async with app.app.state.pool.connection() as connection, connection.transaction():
            rows = [
                await (await connection.execute("SELECT current_setting(%s)", (name,))).fetchone() for name in wanted
            ]
    assert [value for (value,) in rows] == list(wanted.values())


async def test_other_clients_get_none_of_the_settings(pool: Pool, points_module: Any) -> None:
    pooler = pool("transaction", default_pool_size="3")
    async with serve(points_module.service, pooler.login) as points:
        await asyncio.gather(*(granted_and_revoked(points) for _ in range(10)))
        with psycopg.connect(pooler.url, autocommit=True) as other:
            shown = [other.execute("SHOW search_path").fetchone() for _ in range(9)]
    assert set(shown) == {('"$user", public',)}


@pytest.mark.parametrize("mode", POOLED)
def test_many_processes_may_migrate_at_once(pool: Pool, start: Start, database: Login, mode: Mode) -> None:
    url = pool(mode).url
    processes = [start("migrate", url) for _ in range(3)]
    assert [process.wait_for_status(60) for process in processes] == [0, 0, 0]
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT version_num FROM points.alembic_version").fetchall() == [("0001",)]
        assert connection.execute("SELECT to_regclass('public.balances')").fetchone() == (None,)


@pytest.mark.parametrize("verb", ["serve", "migrate"])
def test_statement_mode_ends_the_process_with_one_sentence(
    pool: Pool, start: Start, verb: str, points_module: Any, database: Login
) -> None:
    pooler = pool("statement")
    process = start(verb, pooler.url)
    assert process.wait_for_status(60) == 1
    (line,) = [line for line in process.log.read_text().splitlines() if not line.startswith("{")]
    assert f"{pooler.login.host}:{pooler.login.port}/{pooler.login.database}" in line
    assert "direct URL" in line
    assert database.password not in line


def test_statement_mode_is_known_by_its_error(pool: Pool) -> None:
    with pytest.raises(PoolerError):
        migrate("orders", url=pool("statement").url, schema="orders")


def test_a_service_starts_before_its_database(start: Start) -> None:
    port = Ports().take("points")
    process = start("serve", "postgresql://points@127.0.0.1:1/points", HOST="127.0.0.1", PORT=str(port))
    eventually(lambda: _status(f"http://127.0.0.1:{port}/healthz") == 200, "an answer without a database")
    process.stop()


def _status(url: str) -> int:
    try:
        return call("GET", url).status
    except OSError:
        return 0
