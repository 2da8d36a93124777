"""The journal's PostgreSQL goes away under load and comes back: nothing acknowledged is lost, and it is reported."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from kompensa_dev.ports import Ports
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
from tests.integration.engine_processes import EngineProcess, Engines
from tests.integration.ledger_participant import LedgerParticipant
from tests.integration.test_engine_processes import STEPS, violations
from tests.support.http import Answer, call
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server(run: Run) -> Iterator[PostgresServer]:
    """A server of its own: the participant's must stay."""
    server = PostgresServer(run, name="journal-postgres")
    yield server
    server.stop()


@pytest.fixture
def engine(run: Run, ports: Ports, server: PostgresServer) -> Iterator[EngineProcess]:
    if not server.process.is_alive:  # a test before this one failed half-way
        server.start()
    journal = server.create_database(f"journal_{secrets.token_hex(4)}")
    engines = Engines(run, ports, journal.url)
    yield engines.start()
    engines.close()


def readiness(engine: EngineProcess) -> Answer:
    return call("GET", f"{engine.url}/readyz")


class Load:
    """Starts sagas until it is stopped, and keeps the ids of those that were acknowledged."""

    def __init__(self, engine: EngineProcess) -> None:
        self._engine = engine
        self._over = Event()
        self.acknowledged: list[str] = []
        self.refused: list[Answer] = []

    def run(self) -> None:
        while not self._over.is_set():
            answer = self._engine.ask_to_start()
            if answer.status == 202:
                self.acknowledged.append(answer.body["id"])
            else:
                self.refused.append(answer)
                self._over.wait(0.1)

    def stop(self) -> None:
        self._over.set()


@pytest.mark.parametrize("crash", [False, True], ids=["stopped", "killed"])
def test_no_saga_is_lost_when_the_journal_goes_away_under_load(
    engine: EngineProcess, server: PostgresServer, ledger: LedgerParticipant, crash: bool
) -> None:
    engine.declare(*STEPS, participant=ledger.url)
    before, load = len(ledger.sagas()), Load(engine)
    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(load.run) for _ in range(4)]
        eventually(lambda: len(ledger.sagas()) > before + 20, "some sagas to be under way")
        (server.kill if crash else server.stop)()
        eventually(lambda: readiness(engine).status == 503, "the engine to say that it is not ready")
        assert "journal" in readiness(engine).body["detail"] or "PostgreSQL" in readiness(engine).body["detail"]
        assert call("GET", f"{engine.url}/healthz").status == 200
        server.start()
        eventually(lambda: readiness(engine).status == 200, "the engine to be ready again")
        count = len(load.acknowledged)
        eventually(lambda: len(load.acknowledged) > count + 20, "sagas to be taken again")
        load.stop()
        for thread in running:
            thread.result()
    ended = engine.until_ended(load.acknowledged)
    assert violations(ledger, ended) == []
    assert {answer.status for answer in load.refused} <= {503}


def test_an_idle_engine_notices_that_its_journal_is_away_and_is_back(
    engine: EngineProcess, server: PostgresServer, ledger: LedgerParticipant
) -> None:
    engine.declare(*STEPS, participant=ledger.url)
    server.stop()
    eventually(lambda: readiness(engine).status == 503, "the engine to say that it is not ready")
    server.start()
    eventually(lambda: readiness(engine).status == 200, "the engine to be ready again")
    assert violations(ledger, engine.until_ended([engine.start_saga()])) == []


def test_an_engine_starts_before_its_journal_and_reports_that_it_waits(
    run: Run, ports: Ports, server: PostgresServer
) -> None:
    journal = server.create_database("late_journal")
    server.stop()
    late = EngineProcess(run, "late", journal.url, ports.take("late"))
    late.start()
    try:
        eventually(lambda: _told(late, "waiting for the journal"), "the engine to say what it waits for")
        server.start()
        late.until_ready()
    finally:
        late.stop()


def test_an_engine_reports_a_wrong_password(run: Run, ports: Ports, server: PostgresServer) -> None:
    journal = server.create_database("strict_journal")
    url = journal.url.replace(journal.password, "wrong")
    engine = EngineProcess(run, "wrong", url, ports.take("wrong"))
    engine.start()
    try:
        eventually(lambda: _told(engine, "password authentication failed"), "the engine to name the cause")
    finally:
        engine.stop()


def _told(engine: EngineProcess, text: str) -> bool:
    try:
        answer = readiness(engine)
    except OSError:
        return False
    return answer.status == 503 and text in answer.body["detail"]
