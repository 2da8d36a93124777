"""Migrations of the journal in PostgreSQL: applied once, by one engine, from any older version."""

import asyncio

import asyncpg
import pytest

from kompensa.journal.errors import JournalUnavailableError
from kompensa.journal.postgres import PostgresJournal, connections, migrate
from kompensa.journal.postgres.migrate import JournalTooNewError
from kompensa.journal.records import SagaFilter
from kompensa_dev.postgres import Login
from tests.support.journal_rows import acceptance, joined, new_id, written


async def test_repeated_migrations_are_applied_once(database: Login) -> None:
    journal = PostgresJournal(database.url)
    assert await journal.migrate() != []
    await journal.open()
    lease = await joined(journal)
    await written(journal, lease, acceptance())
    assert await journal.migrate() == []
    assert len(await journal.sagas.page(SagaFilter())) == 1
    await journal.close()


async def test_sagas_from_before_the_name_column_are_found_by_name(database: Login) -> None:
    """The migration skips a saga whose state PostgreSQL cannot read, and fills the name of all others."""
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


async def test_a_migration_may_take_longer_than_any_other_statement(
    database: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may rewrite every saga. If it were cut off, it would start again with each engine and never end."""
    monkeypatch.setattr(connections, "STATEMENT_TIMEOUT_SECONDS", 0.3)
    slow = ("9999_slow.sql", "SELECT pg_sleep(1)")
    monkeypatch.setattr(migrate, "_files", lambda files=migrate._files: [*files(), slow])
    assert (await PostgresJournal(database.url).migrate())[-1] == "9999_slow.sql"


async def test_a_migration_does_not_wait_forever_for_a_locked_table(database: Login) -> None:
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
