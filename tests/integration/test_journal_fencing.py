"""The fence of the journal in PostgreSQL: leases, commits under way, and the locks of sagas."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from kompensa.journal.errors import SagasLockedError, StaleLeaseError
from kompensa.journal.port import Journal
from kompensa.journal.postgres import commit, leases
from kompensa.journal.records import Lease, SagaFilter
from kompensa_dev.postgres import Login
from tests.integration.conftest_engine import Journals
from tests.support.journal_rows import acceptance, group_commit, joined, transition, written
from tests.support.waiting import until


async def stale_writes_that_landed(journal: Journal) -> int:
    """Try to write three sagas under a lease that another one has followed; return the number that was written."""
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
    """The mutant: a commit statement that does not check its epoch."""
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


async def test_a_database_without_the_unique_key_is_found(journal: Journal, database: Login) -> None:
    """The mutant: the index is all that makes two concurrent starts one saga."""
    connection = await asyncpg.connect(database.url)
    await connection.execute("DROP INDEX kompensa.sagas_idempotency")
    await connection.close()
    assert await sagas_of_two_with_one_key(journal) == 2


@asynccontextmanager
async def locked(database: Login, saga: str) -> AsyncIterator[asyncpg.Connection]:
    """Hold the lock of the saga's row, as a psql session does that was left open."""
    blocker = await asyncpg.connect(database.url)
    async with blocker.transaction():
        await blocker.execute("SELECT FROM kompensa.sagas WHERE id = $1 FOR UPDATE", saga)
        yield blocker
    await blocker.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for locks, so that a busy machine does not end a wait that a test looks at."""
    monkeypatch.setattr(commit, "_SET_LOCK_TIMEOUT", "SET lock_timeout = '30s'")
    monkeypatch.setattr(leases, "_ORDER", leases._ORDER.replace("'1s'", "'30s'"))


@asynccontextmanager
async def held_up(
    journal: Journal, database: Login, lease: Lease
) -> AsyncIterator[tuple[asyncio.Task[frozenset[str]], asyncpg.Connection]]:
    """Keep a commit under this lease waiting for a saga's row. In the end it writes as it should.

    Yields the commit, and a connection through which to look at locks.
    """
    first = acceptance()
    await written(journal, lease, first)
    async with locked(database, first.row.id) as blocker:
        commit_under_way = asyncio.create_task(written(journal, lease, transition(first.row.id)))
        await _until_waiting_for_locks(blocker, 1)
        yield commit_under_way, blocker
    assert await commit_under_way == frozenset()


async def versions_a_take_over_missed(journal: Journal, database: Login) -> int:
    """Take a lease over while a commit under it runs; return the number of versions that the new owner missed."""
    async with held_up(journal, database, await joined(journal)) as (_, watcher):
        taking_over = asyncio.create_task(journal.leases.join("one", ttl=60, previous=None))
        await _until_waiting_for_locks(watcher, 2, unless=taking_over)
        seen = await journal.sagas.unsettled([0], after=None, limit=10) if taking_over.done() else None
    await taking_over
    found = await journal.sagas.unsettled([0], after=None, limit=10)
    return found[0].version - (seen or found)[0].version


@pytest.mark.usefixtures("patient")
async def test_a_take_over_waits_for_a_commit_under_way_and_reads_its_rows(journal: Journal, database: Login) -> None:
    """The commit holds the lease's row. A take-over either waits for the commit or makes it fail."""
    assert await versions_a_take_over_missed(journal, database) == 0


@pytest.mark.usefixtures("patient")
async def test_a_take_over_that_does_not_seize_the_lease_is_found(
    monkeypatch: pytest.MonkeyPatch, journal: Journal, database: Login
) -> None:
    """The mutant: writing a new epoch alone does not wait for a commit under way."""
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
    """Renewing writes a new version of the row; the commit's lock holds that one, too."""
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
    commits = group_commit(journal, lease)
    held, *free = [write.row.id for write in sagas]
    async with locked(database, held):
        with pytest.raises(SagasLockedError) as rejected:
            await written(journal, lease, *(transition(write.row.id) for write in sagas))
        assert rejected.value.sagas == {held}
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
    """Wait until `sessions` sessions wait for a lock, or until the task that should wait has ended."""

    async def are_waiting() -> bool:
        found = await connection.fetchval("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
        return found >= sessions or (unless is not None and unless.done())

    await until(are_waiting, f"{sessions} sessions to wait for a lock")
