"""Local servers: quick, isolated, and ended with the process that started them."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from kompensa_dev.errors import DevError
from kompensa_dev.leftovers import start_time
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import PREFIX, Run, sweep
from tests.support.waiting import eventually

STARTER = """
import sys
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
run = Run.open()
server = PostgresServer(run)
print(run.folder, server.process.pid, run._keeper.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A temporary folder that every user can reach; PostgreSQL runs as another one when the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="kompensa-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def started_elsewhere(place: Path) -> tuple[subprocess.Popen[str], Path, int, int]:
    """A run in another process, with a PostgreSQL server; its temporary folder is `place`."""
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert starter.stdout is not None
    folder, server, keeper = starter.stdout.readline().split()
    return starter, Path(folder), int(server), int(keeper)


def test_a_role_cannot_enter_the_database_of_another(postgres: PostgresServer, database: Login) -> None:
    other = postgres.create_database("test_other")
    trespasser = Login(
        host=other.host,
        port=other.port,
        database=database.database,
        username=other.username,
        password=other.password,
    )
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(trespasser.url)
    postgres.drop_database("test_other", roles=("test_other",))


def test_a_capture_role_makes_a_logical_slot_but_reads_no_table(postgres: PostgresServer, database: Login) -> None:
    capture = postgres.create_capture_role(database.database, name="test_capture")
    with psycopg.connect(database.url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA orders")
        owner.execute("CREATE TABLE orders.secret (id int)")
    with psycopg.connect(capture.url, autocommit=True) as connection:
        connection.execute("SELECT pg_create_logical_replication_slot('test_slot', 'pgoutput')")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM orders.secret")
    postgres.drop_database(database.database, roles=("test_capture",))


def test_committed_rows_survive_a_killed_server(postgres: PostgresServer, database: Login) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    postgres.kill()
    assert not postgres.answers()
    postgres.start()
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT id FROM kept").fetchall() == [(1,)]


def test_nothing_is_left_when_the_starter_is_killed(place: Path) -> None:
    starter, folder, server, _ = started_elsewhere(place)
    assert start_time(server) is not None
    starter.kill()
    starter.wait()
    eventually(lambda: start_time(server) is None, "the end of PostgreSQL")
    eventually(lambda: not folder.exists(), "the removal of the run's folder")


def test_the_next_run_clears_up_when_starter_and_keeper_were_killed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter, folder, server, keeper = started_elsewhere(place)
    os.kill(keeper, signal.SIGKILL)
    starter.kill()
    starter.wait()
    assert start_time(server) is not None
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert sweep() == ["postgres"]
    assert start_time(server) is None
    assert not folder.exists()


def test_a_sweep_leaves_a_live_run_alone(run: Run, postgres: PostgresServer) -> None:
    assert run.folder.name.startswith(PREFIX)
    assert sweep() == []
    assert postgres.answers()


def test_two_runs_cannot_keep_the_same_folder(place: Path) -> None:
    with Run.open(keep=place), pytest.raises(DevError, match="in use by another run"):
        Run.open(keep=place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts PostgreSQL as another user")
def test_a_folder_that_postgres_cannot_reach_is_refused_with_advice(place: Path) -> None:
    place.chmod(0o700)
    with Run.open(keep=place / "kept") as run, pytest.raises(DevError, match="cannot reach"):
        PostgresServer(run)


def test_a_kept_folder_brings_its_data_back(place: Path) -> None:
    keep = place / "kept"
    with Run.open(keep=keep) as run:
        PostgresServer(run).create_database("kept")
    with Run.open(keep=keep) as run, psycopg.connect(PostgresServer(run).admin_of("kept").url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("kept",)
