"""Projections on a real PostgreSQL: once for each event whatever is killed, one runner, errors, and rebuilds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from kompensa_eventstore import EventStore, EventTypes, Feed
from kompensa_eventstore.projections import (
    Projection,
    ProjectionError,
    Rows,
    Source,
    Table,
    TooOldError,
    at_least,
    bookkeeping,
    runner,
    status,
)
from kompensa_eventstore.projections.rows import TableSet
from tests.integration.eventstore_desk import (
    ORDERS,
    PAID,
    SCHEMA,
    SUM,
    Connection,
    Desk,
    event,
    is_up,
    pay,
    prepared,
    running,
    totals,
)
from tests.support.waiting import until


@pytest.fixture
async def desk(database: Any) -> AsyncIterator[Desk]:
    async with prepared(database.url) as desk:
        yield desk


@pytest.fixture
async def connection(desk: Desk) -> AsyncIterator[Connection]:
    async with desk.connected() as connection:
        yield connection


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
    monkeypatch.setattr(runner, "take_turn", no_lock)
    async with running(desk, totals(), batch=3), running(desk, totals(), batch=3):
        await pay(connection, orders=10, times=20)
        await until(lambda: is_up(desk), "all events, each once")


async def test_without_lock_and_position_events_are_counted_twice(
    desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant of the two tests above."""
    await pay(connection, orders=1, times=3)
    page = await desk.feed.read(connection)
    start = await bookkeeping.position(connection, SCHEMA, "totals")
    tables = await TableSet.of(connection, totals().tables, schema=SCHEMA)

    async def advance() -> None:
        assert page.end is not None
        await bookkeeping.advance(
            connection, totals(), tables, page.events, after=start, end=page.end, count=page.count, schema=SCHEMA
        )

    await advance()
    with pytest.raises(bookkeeping.MovedError):
        await advance()
    assert is_up(desk)
    monkeypatch.setattr(bookkeeping, "position", lambda *_, **__: asyncio.sleep(0, start))
    await advance()
    assert not is_up(desk)


async def no_lock(*_: Any, **__: Any) -> None:
    return None


async def test_an_event_that_a_handler_cannot_take_stops_its_projection_there_and_says_so(
    desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_SECONDS", 0.05)
    await pay(connection, orders=1, times=3)
    [broken] = await ORDERS.append(
        connection, ORDERS.stream(uuid4()), [event("BROKEN", what="this")], expected_version=0
    )
    await pay(connection, orders=1, times=1)
    other = Projection("other", Table(name="totals", key=("order_id",)))
    async with running(desk, totals()), running(desk, other):
        await until(lambda: desk.asked("SELECT failure FROM projections WHERE name = 'totals'"), "the failure")
        assert desk.asked("SELECT events FROM projections WHERE name = 'totals'") == 3, "what came before is there"
        await until(lambda: desk.asked("SELECT events FROM projections WHERE name = 'other'") == 5, "the other one")
        found = await status(connection, totals(), desk.feed, schema=SCHEMA)
    assert (found.events, found.behind) == (3, 2)
    assert found.lag_seconds > 0
    assert found.failing_since is not None
    failure = found.failure
    assert failure is not None
    assert (failure.event_id, failure.stream, failure.version) == (broken.id, str(broken.stream), 1)
    assert (failure.type, failure.schema_version) == ("BROKEN", "1.0")
    assert failure.message == "RuntimeError: no handler could like this"
    fixed = totals()
    del fixed.handlers["BROKEN"]
    async with running(desk, fixed):
        await until(lambda: is_up(desk), "the rest, with a handler that works")
    found = await status(connection, fixed, desk.feed, schema=SCHEMA)
    assert (found.behind, found.lag_seconds, found.failure, found.failing_since) == (0, 0.0, None, None)


async def test_an_unknown_version_stops_only_a_projection_that_names_its_type(
    desk: Desk, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_SECONDS", 0.05)
    desk.feed = Feed(SCHEMA, types={"Order": EventTypes({"PAID": {"1.0": {}}})})
    newer = [event("PAID", amount=1), replace(event("PAID", amount=2), schema_version="2.0"), event("REFUNDED")]
    appended = await ORDERS.append(connection, ORDERS.stream(uuid4()), newer, expected_version=0)
    unconcerned = Projection("unconcerned", Table(name="totals", key=("order_id",)))
    async with running(desk, totals()), running(desk, unconcerned):
        await until(lambda: desk.asked("SELECT events FROM projections WHERE name = 'unconcerned'") == 3, "the others")
        await until(lambda: desk.asked("SELECT failure FROM projections WHERE name = 'totals'"), "the failure")
        found = await status(connection, totals(), desk.feed, schema=SCHEMA)
    assert found.events == 1
    assert found.failure is not None
    assert (found.failure.event_id, found.failure.version) == (appended[1].id, 2)
    assert (found.failure.type, found.failure.schema_version) == ("PAID", "2.0")


async def test_a_projection_that_has_never_run_waits_for_all_events(desk: Desk, connection: Connection) -> None:
    await pay(connection, orders=1, times=3)
    found = await status(connection, totals(), desk.feed, schema=SCHEMA)
    assert (found.events, found.behind, found.failure) == (0, 3, None)


async def rows_of(connection: Connection, *sources: Source) -> Rows:
    return Rows(connection, await TableSet.of(connection, totals().tables, sources, schema=SCHEMA))


async def test_a_row_that_is_not_as_the_table_is_names_the_columns(desk: Desk, connection: Connection) -> None:
    rows = await rows_of(connection)
    with pytest.raises(ProjectionError, match=r"total.*colour"):
        rows.put("totals", {"order_id": uuid4(), "version": 1, "colour": "red"})
    with pytest.raises(ProjectionError, match="invoices"):
        await rows.get("invoices", id=1)
    with pytest.raises(ProjectionError, match="order_id"):
        await rows.get("totals", id=1)
    with pytest.raises(ProjectionError, match="nowhere"):
        await TableSet.of(connection, [Table(name="nowhere", key=("id",))], schema=SCHEMA)


async def test_sql_of_a_handler_sees_the_rows_before_it_and_is_seen_by_those_after(
    desk: Desk, connection: Connection
) -> None:
    order = uuid4()
    rows = await rows_of(connection)
    rows.put("totals", {"order_id": order, "total": 1, "version": 1})
    await rows.execute("UPDATE {totals} SET total = total + 1 WHERE order_id = %(id)s", {"id": order})
    row = await rows.get("totals", order_id=str(order))
    assert row is not None
    assert row["total"] == 2
    rows.delete("totals", order_id=order)
    await rows.store()
    assert desk.asked("SELECT count(*) FROM totals") == 0


async def test_a_column_that_a_handler_does_not_know_yet_keeps_its_value(desk: Desk, connection: Connection) -> None:
    """During an upgrade, the table may have a column more than the handlers of the release before."""
    order = uuid4()
    await connection.execute("ALTER TABLE totals ADD COLUMN note text DEFAULT 'new'")
    rows = await rows_of(connection)
    rows.put("totals", {"order_id": order, "total": 1, "version": 1})
    row = await rows.get("totals", order_id=order)
    assert row is not None
    assert row["note"] == "new"
    await connection.execute("UPDATE totals SET note = 'kept'")
    rows = await rows_of(connection)
    rows.put("totals", {"order_id": order, "total": 2, "version": 2})
    await rows.store()
    assert desk.asked("SELECT note FROM totals WHERE total = 2") == "kept"


async def test_a_source_is_read_and_not_written(desk: Desk, connection: Connection) -> None:
    await connection.execute("CREATE TABLE people (id uuid PRIMARY KEY, name text NOT NULL, secret text)")
    ana = uuid4()
    await connection.execute("INSERT INTO people VALUES (%s, 'Ana', 'secret')", (ana,))
    rows = await rows_of(connection, Source(name="people", key=("id",), columns=("name",)))
    assert await rows.get("people", id=str(ana)) == {"id": ana, "name": "Ana"}
    with pytest.raises(ProjectionError, match="people is only read"):
        rows.put("people", {"id": ana, "name": "Bia"})


async def test_six_writers_whose_transactions_end_late_are_all_seen(desk: Desk, connection: Connection) -> None:
    chance = random.Random(3)

    async def write() -> None:
        async with desk.connected() as writer:
            for nth in range(30):
                async with writer.transaction():
                    await ORDERS.append(writer, ORDERS.stream(uuid4()), [event("PAID", amount=1)], expected_version=0)
                    await asyncio.sleep(chance.uniform(0, 0.02) if nth % 3 else 0)  # commits after later appends

    async with running(desk, totals()):
        await asyncio.gather(*(write() for _ in range(6)))
        await until(lambda: is_up(desk), "all events")
    assert desk.asked("SELECT count(*) FROM totals") == 180
    assert desk.asked("SELECT max(total) FROM totals") == 1


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
