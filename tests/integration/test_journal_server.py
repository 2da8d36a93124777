"""Errors of the journal's server: wrong addresses, rejected values, outages."""

import asyncio
import secrets

import asyncpg
import pytest

from kompensa.journal.errors import JournalUnavailableError, RejectedError
from kompensa.journal.group_commit import GroupCommit
from kompensa.journal.port import Journal
from kompensa.journal.postgres import PostgresJournal
from kompensa.journal.records import Lease, SagaFilter
from kompensa_dev.postgres import Login, PostgresServer
from tests.integration.conftest_engine import Journals
from tests.support.journal_rows import SilentObserver, acceptance, group_commit, joined, new_id, transition, written


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://unknown:wrong@{host}:{port}/{database}",
        "postgresql://{username}:{password}@{host}:{port}/nowhere",
        "postgresql://{username}:{password}@{host}:1/{database}",
        "postgresql://{username}:{password}@host.invalid:{port}/{database}",
    ],
)
async def test_a_wrong_address_is_unavailable_and_is_named(database: Login, url: str) -> None:
    given = url.format(**vars(database))
    with pytest.raises(JournalUnavailableError) as unavailable:
        await PostgresJournal(given).open()
    login, _, address = given.removeprefix("postgresql://").rpartition("@")
    assert f"PostgreSQL at {address}" in str(unavailable.value)
    assert login.partition(":")[2] not in str(unavailable.value)


@pytest.mark.parametrize(
    "poison",
    [
        {"saga_id": new_id() + "\n"},
        {"saga_id": "not-a-uuid"},
        {"idempotency_key": "a\0b"},
        {"idempotency_key": "\ud800"},
        {"idempotency_key": secrets.token_hex(10_000)},
        {"namespace": "\0"},
        {"state": '{"broken'},
        {"shard": 2**40},
        {"created_at": float("inf"), "expires_at": 1e300},
    ],
)
async def test_a_value_that_postgresql_cannot_hold_is_rejected_and_its_neighbours_are_written(
    journal: Journal, poison: dict[str, object]
) -> None:
    commits = group_commit(journal, await joined(journal))
    columns: dict[str, object] = {"idempotency_key": None, **poison}
    bad = acceptance(str(columns.pop("saga_id", new_id())), **columns)
    writes = [acceptance(), bad, acceptance()]
    async with asyncio.timeout(20):
        found = await asyncio.gather(*(commits.submit(write) for write in writes), return_exceptions=True)
    assert [type(result) for result in found] == [bool, RejectedError, bool]


async def test_a_server_that_is_down_is_unavailable_and_is_used_again_afterwards(
    postgres: PostgresServer, journals: Journals
) -> None:
    journal = journals()
    await journal.open()
    lease = await joined(journal)
    await written(journal, lease, acceptance())
    postgres.stop()
    with pytest.raises(JournalUnavailableError):
        await journal.sagas.page(SagaFilter())
    with pytest.raises(JournalUnavailableError):
        await written(journal, lease, acceptance())
    with pytest.raises(JournalUnavailableError):
        await journal.leases.renew(lease, ttl=60)
    postgres.start()
    assert await written(journal, lease, acceptance()) == frozenset()
    assert len(await journal.sagas.page(SagaFilter())) == 2


class _Rejections(SilentObserver):
    """Notices that a commit was rejected."""

    def __init__(self) -> None:
        self.rejected = asyncio.Event()

    def unavailable(self, error: JournalUnavailableError, attempt: int) -> None:
        self.rejected.set()


async def test_a_right_that_is_withdrawn_makes_the_journal_unavailable_and_stalls_no_saga(
    postgres: PostgresServer, journal: Journal, database: Login
) -> None:
    lease = await joined(journal)
    first = acceptance()
    await written(journal, lease, first)
    observer = _Rejections()
    commits = GroupCommit(journal.sagas.writer(lease), observer)
    admin = await asyncpg.connect(postgres.admin_url)
    try:
        await admin.execute(f'ALTER ROLE "{database.username}" NOLOGIN')
        sessions = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1"
        await admin.fetch(sessions, database.username)
        waiting = asyncio.create_task(commits.submit(transition(first.row.id)))
        await asyncio.wait_for(observer.rejected.wait(), 20)
        assert not waiting.done()
        await admin.execute(f'ALTER ROLE "{database.username}" LOGIN')
        assert await asyncio.wait_for(waiting, 10)
    finally:
        await admin.close()


async def test_a_read_only_server_is_unavailable_not_poisoned(journal: Journal, database: Login) -> None:
    """A standby that is not primary yet rejects every write: none of them is poison."""
    lease = await joined(journal)
    await written(journal, lease, acceptance())
    connection = await asyncpg.connect(database.url)
    name = database.database
    await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await _end_other_sessions(connection)
    with pytest.raises(JournalUnavailableError):
        await written(journal, lease, acceptance())  # by the connection that was ended
    with pytest.raises(JournalUnavailableError, match="read-only"):
        await written(journal, lease, acceptance())
    await connection.execute("SET default_transaction_read_only = off")
    await connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    await _end_other_sessions(connection)
    await connection.close()
    await _eventually_written(journal, lease)


async def _end_other_sessions(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = current_user"
    )


async def _eventually_written(journal: Journal, lease: Lease) -> None:
    commits = group_commit(journal, lease)
    async with asyncio.timeout(20):
        assert await commits.submit(acceptance())
