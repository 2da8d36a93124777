"""The parameters of a URL reach PostgreSQL with the meaning that libpq gives them, in each process."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from kompensa.journal.errors import JournalUnavailableError
from kompensa.journal.postgres.connections import connect
from kompensa_consumer.database import connect as worker_connection
from kompensa_dev.postgres import Login
from kompensa_participant.migrations import migrate
from tests.integration.conftest_participants import serve

QUERY = "application_name=a%20b&options=-c%20lock_timeout%3D7s%20-c%20TimeZone%3DEurope/Lisbon&connect_timeout=9"
SHOWN = "SELECT current_setting('application_name'), current_setting('lock_timeout'), current_setting('timezone')"


@pytest.fixture
def silent() -> Iterator[str]:
    """host:port of a server that takes connections and never answers, as a hung node does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def with_hosts(login: Login, *hosts: str) -> str:
    before, at, after = login.url.rpartition("@")
    return f"{before}{at}{','.join(hosts)}/{after.partition('/')[2]}"


async def test_the_journal_takes_name_and_settings_from_the_url(database: Login) -> None:
    query = "application_name=a+b&options=-c%20lock_timeout%3D7s%20-c%20jit%3Don&connect_timeout=9&gssencmode=disable"
    connection = await connect(f"{database.url}?{query}", application="engine")
    names = ("application_name", "lock_timeout", "jit", "search_path")
    shown = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in names}
    assert shown == {"application_name": "a+b", "lock_timeout": "7s", "jit": "on", "search_path": "kompensa"}
    connection.terminate()


async def test_a_host_that_does_not_answer_leaves_the_next_its_time(database: Login, silent: str) -> None:
    url = with_hosts(database, silent, f"{database.host}:{database.port}")
    connection = await connect(f"{url}?connect_timeout=1&target_session_attrs=read-write", application="engine")
    assert await connection.fetchval("SELECT 1") == 1
    connection.terminate()


async def test_no_host_that_is_wanted_is_reported(database: Login) -> None:
    with pytest.raises(JournalUnavailableError, match=f"{database.host}:{database.port}"):
        await connect(f"{database.url}?target_session_attrs=standby", application="engine")


async def test_the_worker_takes_name_and_settings_from_the_url(database: Login) -> None:
    async with await worker_connection(f"{database.url}?{QUERY}") as connection:
        assert await (await connection.execute(SHOWN)).fetchone() == ("a b", "7s", "Europe/Lisbon")
        assert connection.info.get_parameters()["connect_timeout"] == "9"


async def test_a_service_takes_name_and_settings_from_the_url(database: Login, points_module: Any) -> None:
    named = replace(database, database=f"{database.database}?{QUERY}")
    async with serve(points_module.service, named) as points:
        app: Any = points.client._transport
        async with app.app.state.pool.connection() as connection:
            assert await (await connection.execute(SHOWN)).fetchone() == ("a b", "7s", "Europe/Lisbon")
            assert await (await connection.execute("SHOW search_path")).fetchone() == ("points",)


def test_migrations_run_on_the_host_that_is_wanted(database: Login, silent: str, points_module: Any) -> None:
    url = with_hosts(database, silent, f"{database.host}:{database.port}")
    migrate("points", url=f"{url}?connect_timeout=2&target_session_attrs=read-write", schema="points")
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT version_num FROM points.alembic_version").fetchone() == ("0001",)
