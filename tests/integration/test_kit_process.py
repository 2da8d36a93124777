"""The kit's two commands as processes: migrate, and serve until a signal. Run on the README's example."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kompensa_dev.ports import Ports
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from tests.support.http import Answer, call
from tests.support.waiting import eventually

Start = Callable[..., Process]
ANA = str(uuid.UUID(int=1))


@pytest.fixture
def start(run: Run, example_folder: Path, database: Login) -> Start:
    """Run `python3 -m points <verb>` next to its source, as a reader of the README does."""

    def started(verb: str, *options: str, name: str = "", **environment: str) -> Process:
        given = {"DATABASE_URL": database.url, "PYTHONPATH": str(example_folder), **environment}
        argv = [sys.executable, "-m", "points", verb, *options]
        return run.start(Program(name=f"{name or verb}-{database.database}", argv=argv, environment=given))

    return started


def refuses_connections(url: str) -> bool:
    try:
        call("GET", f"{url}/healthz")
    except OSError:
        return True
    return False


def ready(url: str) -> bool:
    try:
        return call("GET", f"{url}/readyz").status == 200
    except OSError:
        return False


def test_many_processes_may_migrate_at_once(start: Start, database: Login) -> None:
    processes = [start("migrate", name=f"migrate-{n}") for n in range(4)]
    assert [process.wait_for_status(60) for process in processes] == [0, 0, 0, 0]
    with psycopg.connect(database.url) as connection:
        assert connection.execute("SELECT version_num FROM points.alembic_version").fetchall() == [("0001",)]


def test_migrate_works_in_a_schema_that_the_role_only_owns(start: Start, postgres: PostgresServer) -> None:
    shared = postgres.create_database(f"shared_{uuid.uuid4().hex[:8]}")
    role = postgres.create_schema(shared.database, "points")
    with psycopg.connect(postgres.admin_of(shared.database).url, autocommit=True) as admin:
        admin.execute(f'REVOKE CREATE ON DATABASE "{shared.database}" FROM points')
    try:
        assert start("migrate", DATABASE_URL=role.url).wait_for_status(60) == 0
        with psycopg.connect(role.url) as connection:
            assert connection.execute("SELECT count(*) FROM points.operations").fetchone() == (0,)
    finally:
        postgres.drop_database(shared.database, roles=("points", shared.username))


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"DATABASE_URL": ""}, "DATABASE_URL must be set"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}, "cannot migrate, the database of DATABASE_URL"),
        ({"CAPTURE_ROLE": "nobody_of_that_name"}, "CAPTURE_ROLE names 'nobody_of_that_name', which does not exist"),
        ({"POOL_MAX": "many"}, "POOL_MAX must be a whole number"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL is 'loud'"),
    ],
)
def test_a_reason_not_to_start_is_reported_in_one_line(start: Start, environment: dict[str, str], told: str) -> None:
    process = start("migrate", **environment)
    assert process.wait_for_status(60) == 1
    (line,) = [line for line in process.log.read_text().splitlines() if not line.startswith("{")]
    assert line.startswith("points: ")
    assert told in line


def test_migrate_can_wait_for_a_role_that_is_still_being_made(
    start: Start, database: Login, postgres: PostgresServer
) -> None:
    role = f"late_{uuid.uuid4().hex[:8]}"
    process = start("migrate", "--wait", "60", CAPTURE_ROLE=role)
    eventually(lambda: "waiting for the database" in process.log.read_text(), "migrate to say that it waits")
    with psycopg.connect(postgres.admin_of(database.database).url, autocommit=True) as admin:
        admin.execute(f'CREATE ROLE "{role}"')
    assert process.wait_for_status(60) == 0
    postgres.drop_database(database.database, roles=(role,))


def test_an_unknown_command_is_answered_with_the_usage(start: Start) -> None:
    process = start("dance")
    assert process.wait_for_status(60) == 2
    assert "usage: python3 -m points [-h] serve | migrate" in process.log.read_text()


def test_a_request_in_flight_is_finished_before_the_process_ends(start: Start, database: Login) -> None:
    assert start("migrate").wait_for_status(60) == 0
    serving, url = _serving(start)
    with psycopg.connect(database.url) as blocker, concurrent.futures.ThreadPoolExecutor() as threads:
        blocker.execute("LOCK TABLE points.balances")
        in_flight = threads.submit(_grant, url, str(uuid.uuid4()))
        eventually(lambda: _waiting(database), "the call waiting for the lock")
        serving.ask_to_stop()
        eventually(lambda: refuses_connections(url), "new connections being refused")
        blocker.rollback()
        assert in_flight.result(timeout=20).status == 201
    assert serving.wait_for_status(20) == -signal.SIGTERM  # uvicorn ends by the signal it was sent, once it is done


def test_logs_are_json_with_saga_and_trace(start: Start) -> None:
    assert start("migrate").wait_for_status(60) == 0
    serving, url = _serving(start)
    saga = str(uuid.uuid4())
    _grant(url, saga)
    serving.stop()
    lines = [json.loads(line) for line in serving.log.read_text().splitlines()]
    (request,) = [line for line in lines if line.get("path") == "/grants"]
    assert request["saga_id"] == saga
    assert request["trace_id"] == uuid.UUID(saga).hex
    assert (request["service"], request["status"], request["state"]) == ("points", 201, "Succeeded")


def _serving(start: Start) -> tuple[Process, str]:
    port = Ports().take("points")
    process = start("serve", HOST="127.0.0.1", PORT=str(port))
    url = f"http://127.0.0.1:{port}"
    process.wait_ready(lambda: ready(url), what="ready", timeout=30)
    return process, url


def _grant(url: str, saga: str) -> Answer:
    headers = {
        "Idempotency-Key": f"{saga}/grant/action",
        "Saga-Id": saga,
        "traceparent": f"00-{uuid.UUID(saga).hex}-00f067aa0ba902b7-01",
    }
    return call("POST", f"{url}/grants", {"sagaId": saga, "customerId": ANA, "points": 1}, headers=headers)


def _waiting(database: Login) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"
    with psycopg.connect(database.url) as connection:
        return connection.execute(query).fetchone() is not None
