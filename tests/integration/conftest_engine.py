"""Fixtures around the engine and its journal.

- `journal`: an open Journal. The contract's tests get it twice, in memory and in a fresh database.
- `journals`: a function that makes further journals on the same database, as further engines have them.
- `ledger`: a LedgerParticipant, a process that keeps the kit's promise; effects(saga) judges a saga.
- `engines`: Engines on a fresh journal: start(name) -> EngineProcess; kill, pause, resume.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from kompensa.journal.port import Journal
from kompensa.journal.postgres import PostgresJournal
from kompensa_dev.ports import Ports
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run
from tests.integration.engine_processes import Engines
from tests.integration.ledger_participant import LedgerParticipant
from tests.support.memory_journal import MemoryJournal

Journals = Callable[[], Journal]


@pytest.fixture(scope="session")
def ledger(run: Run, postgres: PostgresServer) -> LedgerParticipant:
    """A participant for the session, with a database of its own."""
    return LedgerParticipant.started(run, postgres)


@pytest.fixture
def engines(run: Run, ports: Ports, database: Login) -> Iterator[Engines]:
    """Engine processes on a fresh journal; ended after the test."""
    engines = Engines(run, ports, database.url)
    yield engines
    engines.close()


@pytest.fixture
async def journals(request: pytest.FixtureRequest) -> AsyncIterator[Journals]:
    """Journals that share what they keep. Indirectly parametrised with `memory`, it needs no server."""
    opened: list[PostgresJournal] = []
    if getattr(request, "param", "postgres") == "memory":
        shared = MemoryJournal(time.time)
        yield lambda: shared
        return
    database: Login = request.getfixturevalue("database")

    def made() -> Journal:
        opened.append(PostgresJournal(database.url))
        return opened[-1]

    yield made
    for journal in opened:
        await journal.close()


@pytest.fixture
async def journal(journals: Journals) -> Journal:
    """An open journal."""
    made = journals()
    await made.open()
    return made
