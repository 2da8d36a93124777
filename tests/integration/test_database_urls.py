"""The parameters of a URL reach PostgreSQL with the meaning that libpq gives them, in each process."""

import socket
from collections.abc import Iterator

import pytest

from kompensa.journal.errors import JournalUnavailableError
from kompensa.journal.postgres.connections import connect
from kompensa_dev.postgres import Login


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
