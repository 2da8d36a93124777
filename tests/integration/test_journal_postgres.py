"""What only the journal in PostgreSQL has: migrations, errors of the server, and the fence's mutant."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from kompensa.journal.errors import JournalUnavailableError, RejectedError, SagasLockedError, StaleLeaseError
from kompensa.journal.group_commit import GroupCommit
from kompensa.journal.port import Journal
from kompensa.journal.postgres import PostgresJournal, commit, connections, leases, migrate
from kompensa.journal.postgres.migrate import JournalTooNewError
from kompensa.journal.records import Lease, SagaFilter
from kompensa_dev.postgres import Login, PostgresServer
from tests.integration.conftest_engine import Journals
from tests.support.journal_rows import acceptance, joined, new_id, transition, written


async def stale_writes_that_landed(journal: Journal) -> int:
    """How many sagas a lease that another one has followed could still write."""
    stale = await joined(journal)
    await joined(journal)
    for _ in range(3):
        try:
            await written(journal, stale, acceptance())
        except StaleLeaseError:
            continue
    return len(await journal.sagas.page(SagaFilter()))


async def test_the_commit_statement_is_fenced(journal: Journal) -> None:
    assert await stale_writes_that_landed(journal) == 0


@pytest.fixture
def unfenced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The mutant: a commit statement that takes its epoch for granted."""
    lease = "lease AS MATERIALIZED (SELECT ?::text AS name, ?::bigint AS epoch)"
    commit._statement.cache_clear()
    monkeypatch.setattr(commit, "_LEASE", lease)
    yield
    commit._statement.cache_clear()


async def test_a_commit_without_the_fence_is_found(unfenced: None, journal: Journal) -> None:
    assert await stale_writes_that_landed(journal) == 3


async def sagas_of_two_with_one_key(journal: Journal) -> int:
    lease = await joined(journal)
    for _ in range(2):
        await written(journal, lease, acceptance(idempotency_key="cart-1"))
    return len(await journal.sagas.page(SagaFilter()))


async def test_a_key_is_kept_unique_by_the_database(journal: Journal) -> None:
    assert await sagas_of_two_with_one_key(journal) == 1


async def test_a_database_without_that_constraint_is_found(journal: Journal, database: Login) -> None:
    """The mutant: the index is all that makes two concurrent starts one saga."""
    connection = await asyncpg.connect(database.url)
    await connection.execute("DROP INDEX kompensa.sagas_idempotency")
    await connection.close()
    assert await sagas_of_two_with_one_key(journal) == 2


@asynccontextmanager
async def locked(database: Login, saga: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else holds the saga's row, as a person's session does that was left open."""
    blocker = await asyncpg.connect(database.url)
    async with blocker.transaction():
        await blocker.execute("SELECT FROM kompensa.sagas WHERE id = $1 FOR UPDATE", saga)
        yield blocker
    await blocker.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine must not end the waits for locks that a test looks at."""
    monkeypatch.setattr(commit, "_SET_LOCK_TIMEOUT", "SET lock_timeout = '30s'")
    monkeypatch.setattr(leases, "_ORDER", leases._ORDER.replace("'1s'", "'30s'"))


@asynccontextmanager
async def held_up(
    journal: Journal, database: Login, lease: Lease
) -> AsyncIterator[tuple[asyncio.Task[frozenset[str]], asyncpg.Connection]]:
    """While a commit under this lease waits for a saga's row; in the end it writes what it was to write.

    Yields the commit and a connection to look at locks by.
    """
    first = acceptance()
    await written(journal, lease, first)
    async with locked(database, first.row.id) as blocker:
        commit_under_way = asyncio.create_task(written(journal, lease, transition(first.row.id)))
        await _until_waiting_for_locks(blocker, 1)
        yield commit_under_way, blocker
    assert await commit_under_way == frozenset()


async def versions_a_take_over_missed(journal: Journal, database: Login) -> int:
    """How many versions a commit that was under way wrote after somebody else took its lease."""
    async with held_up(journal, database, await joined(journal)) as (_, watcher):
        taking_over = asyncio.create_task(journal.leases.join("one", ttl=60, previous=None))
        await _until_waiting_for_locks(watcher, 2, unless=taking_over)
        seen = await journal.sagas.unsettled([0], after=None, limit=10) if taking_over.done() else None
    await taking_over
    found = await journal.sagas.unsettled([0], after=None, limit=10)
    return found[0].version - (seen or found)[0].version


@pytest.mark.usefixtures("patient")
async def test_a_take_over_waits_for_a_commit_under_way_and_reads_what_it_wrote(
    journal: Journal, database: Login
) -> None:
    """The commit holds the lease's row; whoever fences the lease either waits for it or makes it fail."""
    assert await versions_a_take_over_missed(journal, database) == 0


@pytest.mark.usefixtures("patient")
async def test_a_take_over_that_does_not_seize_the_lease_is_found(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, database: Login
) -> None:
    """The mutant: a new epoch alone is no change that a commit under way holds up."""
    monkeypatch.setattr(leases, "_SEIZE", "SELECT $1::text")
    assert await versions_a_take_over_missed(journal, database) == 1


@pytest.mark.usefixtures("patient")
async def test_a_commit_that_meets_a_take_over_under_way_waits_for_it_and_fails(
    journal: Journal, database: Login
) -> None:
    lease = await joined(journal)
    taker = await asyncpg.connect(database.url, server_settings={"search_path": "kompensa"})
    async with taker.transaction():
        await taker.execute(leases._SEIZE, "one")
        await taker.fetchval(leases._ENTER, "one", 60.0, 0, True)
        late = asyncio.create_task(written(journal, lease, acceptance()))
        await _until_waiting_for_locks(taker, 1, unless=late)
        assert not late.done(), "it was written while its lease was being taken"
    with pytest.raises(StaleLeaseError):
        await late
    assert await journal.sagas.page(SagaFilter()) == []
    await taker.close()


@pytest.mark.usefixtures("patient")
async def test_a_lease_is_renewed_while_a_commit_under_it_waits(
    journal: Journal, journals: Journals, database: Login
) -> None:
    lease, other = await joined(journal), journals()
    other_lease = await joined(other, "two")
    async with held_up(journal, database, lease) as (commit_under_way, _):
        await journal.leases.renew(lease, ttl=60)
        await other.leases.renew(other_lease, ttl=60)
        assert not commit_under_way.done(), "it no longer waited, so nothing was shown"
        with pytest.raises(StaleLeaseError):
            await journal.leases.renew(Lease("one", lease.epoch - 1), ttl=60)


@pytest.mark.usefixtures("patient")
async def test_a_renewed_lease_is_still_held_by_the_commit_that_began_before(journal: Journal, database: Login) -> None:
    """Renewing writes a new version of the row; the commit's lock goes with it."""
    lease = await joined(journal)
    async with held_up(journal, database, lease) as (_, watcher):
        await journal.leases.renew(lease, ttl=60)
        taking_over = asyncio.create_task(journal.leases.join("one", ttl=60, previous=None))
        await _until_waiting_for_locks(watcher, 2, unless=taking_over)
        assert not taking_over.done(), "the lease was taken while a commit under it could still land"
    await taking_over


async def test_a_locked_saga_is_named_and_holds_up_no_other(journal: Journal, database: Login) -> None:
    lease = await joined(journal)
    sagas = [acceptance() for _ in range(5)]
    await written(journal, lease, *sagas)
    commits = GroupCommit(journal.sagas.writer(lease), _Silent())
    held, *free = [write.row.id for write in sagas]
    async with locked(database, held):
        with pytest.raises(SagasLockedError) as told:
            await written(journal, lease, *(transition(write.row.id) for write in sagas))
        assert told.value.sagas == {held}
        waiting = asyncio.create_task(commits.submit(transition(held)))
        async with asyncio.timeout(20):
            assert await asyncio.gather(*(commits.submit(transition(saga)) for saga in free)) == [True] * 4
            assert await commits.submit(acceptance())
        assert not waiting.done()
    async with asyncio.timeout(20):
        assert await waiting
    assert {row.version for row in await journal.sagas.page(SagaFilter())} == {1, 2}


async def _until_waiting_for_locks(
    connection: asyncpg.Connection, sessions: int, *, unless: asyncio.Task[Any] | None = None
) -> None:
    """Until so many sessions wait for a lock, or the task that should wait has ended."""
    query = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(20):
        while await connection.fetchval(query) < sessions:
            if unless is not None and unless.done():
                return
            await asyncio.sleep(0.01)


async def test_migrations_are_applied_once_however_often_they_are_asked_for(database: Login) -> None:
    journal = PostgresJournal(database.url)
    assert await journal.migrate() != []
    await journal.open()
    lease = await joined(journal)
    await written(journal, lease, acceptance())
    assert await journal.migrate() == []
    assert len(await journal.sagas.page(SagaFilter())) == 1
    await journal.close()


async def test_sagas_from_before_they_had_a_column_for_it_are_found_by_name(database: Login) -> None:
    """Also beside one whose state PostgreSQL cannot look into."""
    await PostgresJournal(database.url).migrate()
    states = {
        new_id(): '{"saga":{"name":"order-1"}}',
        (unnamed := new_id()): f'{{"saga":{{"name":"{unnamed}"}}}}',
        new_id(): '{"saga":{"name":"order-2","reason":"\\u0000"}}',
    }
    connection = await asyncpg.connect(database.url)
    await connection.execute("ALTER TABLE kompensa.sagas DROP COLUMN name")
    await connection.execute("DELETE FROM kompensa.migrations WHERE name = '0003_saga_names.sql'")
    await connection.executemany(
        "INSERT INTO kompensa.sagas VALUES"
        " ($1, 'shop', 'order', NULL, NULL, 0, 1, 1, 'Running', false, now(), NULL, NULL, '{}', $2)",
        list(states.items()),
    )
    await connection.close()
    journal = PostgresJournal(database.url)
    assert await journal.migrate() == ["0003_saga_names.sql"]
    await journal.open()
    found = await journal.sagas.page(SagaFilter(name="order-1"))
    assert [states[row.id] for row in found] == ['{"saga":{"name":"order-1"}}']
    assert sorted(row.name or "" for row in await journal.sagas.page(SagaFilter())) == ["", "", "order-1"]
    await journal.close()


async def test_a_commit_costs_the_same_however_many_sagas_there_are(database: Login, journals: Journals) -> None:
    """Its plan is made once, on empty tables: it must not be one that reads them whole."""
    journal = journals()
    await journal.open()
    lease = await joined(journal)
    for _ in range(20):
        started = [acceptance() for _ in range(20)]
        await written(journal, lease, *started)
        await written(journal, lease, *(transition(write.row.id) for write in started))
    await journal.close()
    assert await rows_touched(database) == {"in order": 0, "by index": 400, "updated": 400}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (SagaFilter(name="order-7"), 1),
        (SagaFilter(name="order-7", namespace="shop", source="api"), 1),
        (SagaFilter(name="order-none"), 0),
        (SagaFilter(phase="InterventionRequired"), 2),
        (SagaFilter(phase="InterventionRequired", namespace="shop", active=True), 2),
        (SagaFilter(limit=3), 3),
        (SagaFilter(namespace="shop", limit=3), 3),
    ],
)
async def test_a_page_costs_what_it_shows_however_many_sagas_there_are(
    database: Login, journals: Journals, wanted: SagaFilter, found: int
) -> None:
    """Its plan, too, is made on empty tables."""
    journal = journals()
    await journal.open()
    assert await journal.sagas.page(wanted) == []
    lease = await joined(journal)
    for first in range(0, 400, 100):
        numbers = range(first, first + 100)
        phases = ["InterventionRequired" if number in (50, 350) else "Running" for number in numbers]
        rows = zip(numbers, phases, strict=True)
        await written(journal, lease, *(acceptance(name=f"order-{number}", phase=phase) for number, phase in rows))
    for _ in range(5):
        assert len(await journal.sagas.page(wanted)) == found
    await journal.close()
    assert await rows_touched(database) == {"in order": 0, "by index": 5 * found, "updated": 0}


async def rows_touched(database: Login) -> dict[str, int]:
    """How many rows of sagas all statements so far have read, and changed. Sessions tell it when they end."""
    connection = await asyncpg.connect(database.url)
    row = await connection.fetchrow(
        "SELECT seq_tup_read, idx_tup_fetch, n_tup_upd FROM pg_stat_user_tables WHERE relname = 'sagas'"
    )
    await connection.close()
    return dict(zip(("in order", "by index", "updated"), row, strict=True))


async def test_a_migration_may_take_longer_than_any_other_statement(
    database: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rewrites every saga there is; cut off, it would begin anew at each start and never end."""
    monkeypatch.setattr(connections, "STATEMENT_TIMEOUT_SECONDS", 0.3)
    slow = ("9999_slow.sql", "SELECT pg_sleep(1)")
    monkeypatch.setattr(migrate, "_files", lambda files=migrate._files: [*files(), slow])
    assert (await PostgresJournal(database.url).migrate())[-1] == "9999_slow.sql"


async def test_a_migration_does_not_wait_for_ever_for_whoever_holds_a_table(database: Login) -> None:
    await PostgresJournal(database.url).migrate()
    holder = await asyncpg.connect(database.url)
    await holder.execute("DELETE FROM kompensa.migrations WHERE name = '0003_saga_names.sql'")
    async with holder.transaction():
        await holder.execute("LOCK TABLE kompensa.sagas")
        async with asyncio.timeout(30):
            with pytest.raises(JournalUnavailableError, match="lock timeout"):
                await PostgresJournal(database.url).migrate()
    await holder.close()


async def test_engines_that_start_together_migrate_once(database: Login) -> None:
    applied = await asyncio.gather(*(PostgresJournal(database.url).migrate() for _ in range(5)))
    assert sorted(len(names) > 0 for names in applied) == [False] * 4 + [True]


async def test_a_journal_of_a_newer_version_is_left_alone(database: Login) -> None:
    await PostgresJournal(database.url).migrate()
    connection = await asyncpg.connect(database.url)
    await connection.execute("INSERT INTO kompensa.migrations (name) VALUES ('9999_tomorrow.sql')")
    await connection.close()
    with pytest.raises(JournalTooNewError, match=r"9999_tomorrow\.sql"):
        await PostgresJournal(database.url).migrate()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://nobody:wrong@{host}:{port}/{database}",
        "postgresql://{username}:{password}@{host}:{port}/nowhere",
        "postgresql://{username}:{password}@{host}:1/{database}",
        "postgresql://{username}:{password}@host.invalid:{port}/{database}",
    ],
)
async def test_an_address_that_is_wrong_may_be_mended_and_is_named(database: Login, url: str) -> None:
    given = url.format(**vars(database))
    with pytest.raises(JournalUnavailableError) as told:
        await PostgresJournal(given).open()
    login, _, address = given.removeprefix("postgresql://").rpartition("@")
    assert f"PostgreSQL at {address}" in str(told.value)
    assert login.partition(":")[2] not in str(told.value)


class _Silent:
    def committed(self, size: int, seconds: float) -> None:
        pass

    def unavailable(self, error: JournalUnavailableError, attempt: int) -> None:
        pass


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
async def test_what_postgresql_cannot_hold_is_refused_and_its_neighbours_are_written(
    journal: Journal, poison: dict[str, object]
) -> None:
    commits = GroupCommit(journal.sagas.writer(await joined(journal)), _Silent())
    columns: dict[str, object] = {"idempotency_key": None, **poison}
    bad = acceptance(str(columns.pop("saga_id", new_id())), **columns)
    writes = [acceptance(), bad, acceptance()]
    async with asyncio.timeout(20):
        found = await asyncio.gather(*(commits.submit(write) for write in writes), return_exceptions=True)
    assert [type(result) for result in found] == [bool, RejectedError, bool]


async def test_a_server_that_is_away_is_unavailable_and_used_again_once_it_is_back(
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


async def test_a_right_that_is_withdrawn_makes_the_journal_unavailable_and_stalls_no_saga(
    postgres: PostgresServer, journal: Journal, database: Login
) -> None:
    lease = await joined(journal)
    first = acceptance()
    await written(journal, lease, first)
    commits = GroupCommit(journal.sagas.writer(lease), _Silent())
    admin = await asyncpg.connect(postgres.admin_url)
    try:
        await admin.execute(f'ALTER ROLE "{database.username}" NOLOGIN')
        sessions = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = $1"
        await admin.fetch(sessions, database.username)
        waiting = asyncio.create_task(commits.submit(transition(first.row.id)))
        await asyncio.sleep(1)
        assert not waiting.done()
        await admin.execute(f'ALTER ROLE "{database.username}" LOGIN')
        assert await asyncio.wait_for(waiting, 10)
    finally:
        await admin.close()


async def test_a_read_only_server_is_unavailable_not_poisoned(journal: Journal, database: Login) -> None:
    """A standby that is not yet primary says so to every write; none of them is to blame."""
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
    commits = GroupCommit(journal.sagas.writer(lease), _Silent())
    async with asyncio.timeout(20):
        assert await commits.submit(acceptance())
