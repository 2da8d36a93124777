"""Rebuilding a projection on a real PostgreSQL, while events arrive and readers read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from kompensa_eventstore.projections import Progress, ProjectionError, rebuild
from tests.integration.eventstore_desk import SCHEMA, Connection, Desk, is_up, pay, prepared, running, totals
from tests.support.waiting import until


@pytest.fixture
async def desk(database: Any) -> AsyncIterator[Desk]:
    async with prepared(database.url) as desk:
        yield desk


@pytest.fixture
async def connection(desk: Desk) -> AsyncIterator[Connection]:
    async with desk.connected() as connection:
        yield connection


async def rebuilt(desk: Desk, **options: Any) -> int:
    return await rebuild(totals(), desk.feed, desk.connect, schema=SCHEMA, **options)


async def test_a_rebuild_replaces_the_rows_while_runner_and_readers_go_on(desk: Desk, connection: Connection) -> None:
    async with running(desk, totals()):
        await pay(connection, orders=10, times=10)
        await until(lambda: is_up(desk), "the rows before the rebuild")
        spoilt = desk.asked("WITH spoilt AS (UPDATE totals SET total = 0 RETURNING 1) SELECT count(*) FROM spoilt")
        assert spoilt == 10
        seen: list[Progress] = []
        async with desk.connected() as writer:
            writing = asyncio.create_task(pay(writer, orders=5, times=10))
            reading = [asyncio.create_task(rows_are_never_gone(desk)) for _ in range(3)]
            done = await rebuilt(desk, batch=20, report=seen.append)
            await writing
            assert not any(task.done() for task in reading)
            for task in reading:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        assert done >= 100
        assert [each.done for each in seen] == sorted(each.done for each in seen)
        assert all(each.done <= each.total and each.per_second > 0 and each.seconds_left >= 0 for each in seen)
        assert seen[-1].done == done
        await until(lambda: is_up(desk), "the runner to go on in the new table")
    assert desk.asked("SELECT count(*) FROM projections") == 1


async def rows_are_never_gone(desk: Desk) -> None:
    async with desk.connected() as connection:
        while True:
            row = await (await connection.execute("SELECT count(*) FROM totals")).fetchone()
            assert row is not None
            assert row[0] >= 10
            await asyncio.sleep(0)


async def test_a_rebuild_that_was_stopped_goes_on_where_it_was(desk: Desk, connection: Connection) -> None:
    await stopped_rebuild(desk, connection)
    seen: list[Progress] = []
    assert await rebuilt(desk, batch=20, report=seen.append) == 60
    assert (seen[0].done, seen[0].total) == (60, 100)
    assert is_up(desk)


async def test_a_rebuild_begins_again_if_asked_to(desk: Desk, connection: Connection) -> None:
    await stopped_rebuild(desk, connection)
    assert await rebuilt(desk, batch=20, fresh=True) == 100
    assert is_up(desk)


async def test_a_rebuild_begins_again_if_the_table_has_other_columns(desk: Desk, connection: Connection) -> None:
    await stopped_rebuild(desk, connection)
    await connection.execute("ALTER TABLE totals ADD COLUMN note text DEFAULT 'new'")
    assert await rebuilt(desk, batch=20) == 100
    assert desk.asked("SELECT count(*) FROM totals WHERE note = 'new'") == 10


async def stopped_rebuild(desk: Desk, connection: Connection) -> None:
    await pay(connection, orders=10, times=10)

    def stop(progress: Progress) -> None:
        if progress.done == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuilt(desk, batch=20, report=stop)


async def test_a_rebuild_gives_way_to_a_long_query_and_swaps_after_it(
    desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pay(connection, orders=2, times=2)
    waits = "SELECT count(*) FROM pg_locks WHERE relation = 'totals'::regclass AND NOT granted"
    async with desk.connected() as long:
        async with long.transaction():
            await long.execute("SELECT FROM totals")
            rebuilding = asyncio.create_task(rebuilt(desk))
            await until(lambda: desk.asked(waits), "the swap to wait for the query")
            await until(lambda: not desk.asked(waits), "the swap to give way")
            assert desk.asked("SELECT count(*) FROM totals") == 0, "the old rows are read meanwhile"
        assert await rebuilding == 4
    assert is_up(desk)


async def test_indexes_and_constraints_keep_their_names(desk: Desk, connection: Connection) -> None:
    await connection.execute("CREATE INDEX totals_by_size ON totals (total DESC) WHERE total > 0")
    await connection.execute("CREATE UNIQUE INDEX totals_upper ON totals (upper(order_id::text))")
    await connection.execute("ALTER TABLE totals ADD CONSTRAINT positive CHECK (total >= 0)")
    shape = """
        SELECT string_agg(what, E'\n' ORDER BY what) FROM (
            SELECT indexdef AS what FROM pg_indexes WHERE tablename = 'totals' UNION ALL
            SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'totals'::regclass
        ) all_of_them
    """
    before = desk.asked(shape)
    await pay(connection, orders=2, times=2)
    for _ in range(2):
        await rebuilt(desk)
        assert desk.asked(shape) == before
    assert is_up(desk)


async def test_readers_of_the_old_rows_can_read_the_new_ones(
    desk: Desk, connection: Connection, reading_role: str
) -> None:
    await connection.execute(f"GRANT USAGE ON SCHEMA shop TO {reading_role}")
    await connection.execute(f"GRANT SELECT ON totals TO {reading_role}")
    await pay(connection, orders=1, times=1)
    await rebuilt(desk)
    await connection.execute(f"SET ROLE {reading_role}")
    assert await (await connection.execute("SELECT total FROM totals")).fetchone() == (1,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await connection.execute("SELECT FROM events")


@pytest.fixture
async def reading_role(postgres: Any, database: Any) -> AsyncIterator[str]:
    role = f"reading_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.admin_url, autocommit=True) as admin:
        await admin.execute(f"CREATE ROLE {role}")
        await admin.execute(f"GRANT {role} TO {database.username}")
        yield role
        async with await psycopg.AsyncConnection.connect(
            postgres.admin_url, dbname=database.database, autocommit=True
        ) as inside:
            await inside.execute(f"DROP OWNED BY {role}")
        await admin.execute(f"DROP ROLE {role}")


async def test_a_table_that_something_depends_on_is_not_replaced(desk: Desk, connection: Connection) -> None:
    await connection.execute("CREATE VIEW dear AS SELECT * FROM totals WHERE total > 100")
    with pytest.raises(ProjectionError, match="dear"):
        await rebuilt(desk)
