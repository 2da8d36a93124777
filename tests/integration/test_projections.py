"""Projections on a real PostgreSQL: once for each event whatever is killed, one runner, errors, and rebuilds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from kompensa_eventstore import EventStore
from kompensa_eventstore.projections import (
    Progress,
    Projection,
    ProjectionError,
    ProjectionRunner,
    Rows,
    Table,
    TooOldError,
    at_least,
    rebuild,
    runner,
    status,
)
from tests.integration.eventstore_desk import ORDERS, SCHEMA, Connection, Desk, event, pay, prepared, totals
from tests.support.waiting import until

PAID = "SELECT coalesce(sum((payload ->> 'amount')::int), 0) FROM events WHERE event_type = 'PAID'"
SUM = "SELECT coalesce(sum(total), 0) FROM totals"


@pytest.fixture
async def desk(database: Any) -> AsyncIterator[Desk]:
    async with prepared(database.url) as desk:
        yield desk


@pytest.fixture
async def connection(desk: Desk) -> AsyncIterator[Connection]:
    async with desk.connected() as connection:
        yield connection


@asynccontextmanager
async def running(desk: Desk, projection: Projection, **options: Any) -> AsyncIterator[asyncio.Task[None]]:
    connect = options.pop("connect", desk.connect)
    task = asyncio.create_task(ProjectionRunner(projection, desk.feed, connect, schema=SCHEMA, **options).run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def is_up(desk: Desk) -> bool:
    return bool(desk.asked(PAID) == desk.asked(SUM))


async def test_rows_follow_the_events(desk: Desk, connection: Connection) -> None:
    order = ORDERS.stream(uuid4())
    async with running(desk, totals()):
        await pay(connection, orders=3, times=4, amount=2)
        await ORDERS.append(connection, order, [event("PAID", amount=5), event("UNHEARD OF")], expected_version=0)
        await until(lambda: desk.asked(SUM) == 29, "all amounts")
        await ORDERS.append(connection, order, [event("FORGOTTEN")], expected_version=2)
        await until(lambda: desk.asked("SELECT count(*) FROM totals") == 3, "the row to go")


async def test_a_runner_killed_again_and_again_counts_each_event_once(desk: Desk, connection: Connection) -> None:
    chance = random.Random(7)
    writing = asyncio.create_task(pay(connection, orders=20, times=25))
    while not (writing.done() and is_up(desk)):
        async with running(desk, totals(), batch=7):
            await asyncio.sleep(chance.uniform(0, 0.1))  # killed wherever this falls
            assert desk.asked(SUM) <= desk.asked(PAID)
    await writing
    assert desk.asked("SELECT min(version) FROM totals") == 25


async def test_a_runner_whose_sessions_are_cut_goes_on(desk: Desk, connection: Connection) -> None:
    async with running(desk, totals(), connect=lambda: desk.connect(application_name="runner")):
        await pay(connection, orders=2, times=2)
        await until(lambda: is_up(desk), "the first events")
        cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'runner'"
        assert desk.asked(cut) == 2
        await pay(connection, orders=2, times=2)
        await until(lambda: is_up(desk), "the events after the cut")


async def test_of_two_runners_one_works_and_the_other_takes_over(desk: Desk, connection: Connection) -> None:
    names = ("first", "second")
    holder = (
        "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = 'advisory' AND granted AND application_name IN ('first', 'second')"
    )
    async with running(desk, totals(), connect=lambda: desk.connect(application_name=names[0])) as first:
        await until(lambda: desk.asked(holder) == names[0], "the first to hold the projection")
        async with running(desk, totals(), connect=lambda: desk.connect(application_name=names[1])):
            await pay(connection, orders=2, times=5)
            await until(lambda: is_up(desk), "the first to work")
            assert desk.asked(holder) == names[0]
            first.cancel()
            await until(lambda: desk.asked(holder) == names[1], "the second to take over")
            await pay(connection, orders=2, times=5)
            await until(lambda: is_up(desk), "the second to work")


async def test_without_the_lock_the_position_keeps_two_runners_apart(
    desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "hold", no_lock)
    async with running(desk, totals(), batch=3), running(desk, totals(), batch=3):
        await pay(connection, orders=10, times=20)
        await until(lambda: is_up(desk), "all events, each once")


async def test_without_lock_and_position_events_are_counted_twice(
    desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the two tests above."""
    await pay(connection, orders=1, times=3)
    events = (await desk.feed.read(connection)).events
    start = await runner.position(connection, SCHEMA, "totals")
    await runner.advance(connection, totals(), events, after=start, schema=SCHEMA)
    with pytest.raises(runner.MovedError):
        await runner.advance(connection, totals(), events, after=start, schema=SCHEMA)
    assert is_up(desk)
    monkeypatch.setattr(runner, "position", lambda *_, **__: asyncio.sleep(0, start))
    await runner.advance(connection, totals(), events, after=start, schema=SCHEMA)
    assert not is_up(desk)


async def no_lock(*_: Any) -> None:
    return None


async def test_an_event_that_a_handler_cannot_take_stops_its_projection_there_and_says_so(
    desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_SECONDS", 0.05)
    await pay(connection, orders=1, times=3)
    await ORDERS.append(connection, ORDERS.stream(uuid4()), [event("BROKEN", what="this")], expected_version=0)
    await pay(connection, orders=1, times=1)
    other = Projection("other", Table(name="totals", key=("order_id",)))
    async with running(desk, totals()), running(desk, other):
        error = "SELECT error FROM projections WHERE name = 'totals'"
        await until(lambda: desk.asked(error), "the error")
        assert desk.asked(error) == "RuntimeError: no handler could like this"
        assert desk.asked("SELECT events FROM projections WHERE name = 'totals'") == 3, "what came before is there"
        await until(lambda: desk.asked("SELECT events FROM projections WHERE name = 'other'") == 5, "the other one")
        found = await status(connection, totals(), schema=SCHEMA)
        assert (found.events, found.behind) == (3, 2)
        assert found.lag_seconds > 0
        assert found.failing_since is not None
    fixed = totals()
    del fixed.handlers["BROKEN"]
    async with running(desk, fixed):
        await until(lambda: is_up(desk), "the rest, with a handler that works")
    found = await status(connection, fixed, schema=SCHEMA)
    assert (found.behind, found.lag_seconds, found.error, found.failing_since) == (0, 0.0, None, None)


async def test_a_row_that_is_not_as_the_table_is_names_the_columns(desk: Desk, connection: Connection) -> None:
    rows = await Rows.of(connection, totals().tables, schema=SCHEMA)
    with pytest.raises(ProjectionError, match=r"total.*colour"):
        rows.put("totals", {"order_id": uuid4(), "version": 1, "colour": "red"})
    with pytest.raises(ProjectionError, match="invoices"):
        await rows.get("invoices", id=1)
    with pytest.raises(ProjectionError, match="order_id"):
        await rows.get("totals", id=1)
    with pytest.raises(ProjectionError, match="nowhere"):
        await Rows.of(connection, [Table(name="nowhere", key=("id",))], schema=SCHEMA)


async def test_sql_of_a_handler_sees_the_rows_before_it_and_is_seen_by_those_after(
    desk: Desk, connection: Connection
) -> None:
    order = uuid4()
    rows = await Rows.of(connection, totals().tables, schema=SCHEMA)
    rows.put("totals", {"order_id": order, "total": 1, "version": 1})
    await rows.execute("UPDATE {totals} SET total = total + 1 WHERE order_id = %(id)s", {"id": order})
    row = await rows.get("totals", order_id=order)
    assert row is not None
    assert row["total"] == 2


async def test_a_reader_waits_for_what_it_has_written(desk: Desk, connection: Connection) -> None:
    order = ORDERS.stream(uuid4())

    async def read() -> int | None:
        found: int | None = desk.asked("SELECT version FROM totals")
        return found

    async with running(desk, totals()):
        await ORDERS.append(connection, order, [event("PAID", amount=1)] * 1, expected_version=0)
        assert await at_least(1, read, int, seconds=20) == 1
        with pytest.raises(TooOldError) as error:
            await at_least(2, read, int, seconds=0.05)
        assert (error.value.found, error.value.wanted) == (1, 2)


async def test_a_rebuild_replaces_the_rows_while_runner_and_readers_go_on(desk: Desk, connection: Connection) -> None:
    async with running(desk, totals()):
        await pay(connection, orders=10, times=10)
        await until(lambda: is_up(desk), "the rows before the rebuild")
        desk_rows = desk.asked("WITH spoilt AS (UPDATE totals SET total = 0 RETURNING 1) SELECT count(*) FROM spoilt")
        assert desk_rows == 10
        seen: list[Progress] = []
        async with desk.connected() as writer, desk.connected() as owner:
            writing = asyncio.create_task(pay(writer, orders=5, times=10))
            reading = asyncio.create_task(rows_are_never_gone(desk))
            done = await rebuild(totals(), desk.feed, owner, schema=SCHEMA, batch=20, report=seen.append)
            await writing
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        assert done >= 100
        assert [each.done for each in seen] == sorted(each.done for each in seen)
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
    await pay(connection, orders=10, times=10)

    def stop(progress: Progress) -> None:
        if progress.done == 40:
            raise KeyboardInterrupt

    async with desk.connected() as stopped:
        with pytest.raises(KeyboardInterrupt):
            await rebuild(totals(), desk.feed, stopped, schema=SCHEMA, batch=20, report=stop)
    async with desk.connected() as again:
        assert await rebuild(totals(), desk.feed, again, schema=SCHEMA, batch=20) == 60
    assert is_up(desk)


async def test_readers_of_the_old_rows_can_read_the_new_ones(
    desk: Desk, connection: Connection, reading_role: str
) -> None:
    await connection.execute(f"GRANT USAGE ON SCHEMA shop TO {reading_role}")
    await connection.execute(f"GRANT SELECT ON totals TO {reading_role}")
    await pay(connection, orders=1, times=1)
    await rebuild(totals(), desk.feed, connection, schema=SCHEMA)
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
        await rebuild(totals(), desk.feed, connection, schema=SCHEMA)


async def test_a_new_projection_begins_with_the_oldest_event(desk: Desk, connection: Connection) -> None:
    """S56: a new question can be answered from events that were written before it was asked."""
    await pay(connection, orders=2, times=3, amount=7)
    await EventStore("Invoice").append(
        connection, EventStore("Invoice").stream(uuid4()), [event("PAID", amount=1)], expected_version=0
    )
    await connection.execute("CREATE TABLE days (day date PRIMARY KEY, revenue numeric NOT NULL)")
    days = Projection("days", Table(name="days", key=("day",)), aggregates=["Order"])

    @days.on("PAID")
    async def paid(rows: Rows, event: Any) -> None:
        day = event.occurred_at.date()
        row = await rows.get("days", day=day) or {"day": day, "revenue": 0}
        rows.put("days", {**row, "revenue": row["revenue"] + event.data["amount"]})

    async with running(desk, days):
        await until(lambda: desk.asked("SELECT sum(revenue) FROM days") == 42, "the revenue of both orders")
