"""Real servers for the integration tests, one of each a session, started on free loopback ports.

- `postgres`: a PostgresServer, with create_database(name) -> Login, kill(), start(), stop(), admin_url.
- `kafka`: a KafkaBroker, with bootstrap, kill(), start(), stop().
- `connect`: a ConnectWorker with Debezium: url, credentials (folder of logins), write_login(...), kill(), start().
- `stack`: a Stack with everything that `kompensa dev` starts, with the fault switch on and any free ports.
- `database`: a Login to a fresh database of its own role.
- `target`: a Login to a fresh database with the tables that the Replica of copies.py writes.
- `things`: a Login to a fresh database with their schema alone.

Further fixtures are in the modules conftest_*.py. Everything lives in one temporary folder and ends with the session,
even if pytest is killed.
"""

import secrets
from collections.abc import Iterator

import pytest
from xdist.remote import Producer

from kompensa_dev.connect import ConnectWorker
from kompensa_dev.java import Libraries, libraries
from kompensa_dev.java_archives import Archives, archives
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.options import StackOptions
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run
from kompensa_dev.stack import Stack
from tests.integration.capture_source import reader, source  # noqa: F401 - fixtures
from tests.integration.conftest_apiserver import (  # noqa: F401 - fixtures
    apiserver,
    namespace,
    operator_processes,
    ports,
    scene,
)
from tests.integration.conftest_engine import engines, journal, journals, ledger  # noqa: F401 - fixtures
from tests.integration.conftest_participants import example_folder, points, points_module  # noqa: F401 - fixtures
from tests.integration.conftest_poolers import pool  # noqa: F401 - fixture
from tests.integration.copies import execute, prepare_target
from tests.integration.orders_desk import ana, orders  # noqa: F401 - fixtures
from tests.integration.scheduling import SHARED, SharedServerScheduling, require_listed
from tests.integration.worker_desk import start_worker, topics  # noqa: F401 - fixtures


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if "tests/integration/" in item.path.as_posix()]
    for item in ours:
        item.add_marker(pytest.mark.integration)
    for server in SHARED:
        require_listed(server, {item.path.name for item in ours if server in getattr(item, "fixturenames", ())})


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedServerScheduling | None:
    return SharedServerScheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """The session's folder of processes."""
    with Run.open() as run:
        yield run


@pytest.fixture(scope="session")
def postgres(run: Run) -> PostgresServer:
    """A PostgreSQL server with wal_level=logical."""
    return PostgresServer(run)


@pytest.fixture(scope="session")
def jars() -> Libraries:
    return libraries()


@pytest.fixture(scope="session")
def java_archives(jars: Libraries) -> Archives:
    return archives(jars)


@pytest.fixture(scope="session")
def kafka(run: Run, jars: Libraries, java_archives: Archives) -> KafkaBroker:
    """A single-node Kafka; topics are not made by themselves."""
    return KafkaBroker(run, jars, archive=java_archives.kafka)


@pytest.fixture(scope="session")
def connect(run: Run, jars: Libraries, java_archives: Archives, kafka: KafkaBroker) -> ConnectWorker:
    """A Kafka Connect worker with the Debezium plugin."""
    return ConnectWorker(run, jars, kafka, archive=java_archives.connect)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole system, in a run of its own: its tests kill what the others' servers must not lose."""
    run = Run.open()
    stack = Stack.start(run, StackOptions(port_base=None, faults=True), say=lambda _: None)
    yield stack
    stack.stop()


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Login]:
    """A fresh database that its own role owns; gone with its slots after the test."""
    login = postgres.create_database(f"test_{secrets.token_hex(4)}")
    yield login
    if not postgres.process.is_alive:
        postgres.start()
    postgres.drop_database(login.database, roles=(login.username,))


@pytest.fixture
def target(database: Login) -> Login:
    """A database with the tables that the Replica of copies.py writes."""
    prepare_target(database)
    return database


@pytest.fixture
def things(database: Login) -> Login:
    """A database with the schema invoices, for the one table `things` that a test makes in it."""
    execute(database, "CREATE SCHEMA invoices")
    return database
