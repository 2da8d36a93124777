"""The event store on a real PostgreSQL: expected versions, immutability, the global order, and waking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from kompensa_eventstore import (
    BEGINNING,
    EventStore,
    EventTypes,
    Feed,
    InvalidEventError,
    NewEvent,
    Position,
    Provenance,
    RestoredElsewhereError,
    StoredEvent,
    Stream,
    UnknownEventError,
    VersionConflictError,
    after_restore,
    decide,
    serving_grants,
)
from kompensa_eventstore.feed import LONGEST_PAUSE_SECONDS
from tests.integration.eventstore_desk import ORDERS, Connection, Desk, event, prepared
from tests.support.waiting import until

CREATED, PAID = NewEvent(type="ORDER_CREATED", data={"total": "209.97"}), NewEvent(type="PAYMENT_PROCESSED", data={})


def same(decided: list[NewEvent], _: Sequence[StoredEvent]) -> list[NewEvent]:
    """A decision that does not look at the stream."""
    return decided


@pytest.fixture
async def desk(database: Any) -> AsyncIterator[Desk]:
    async with prepared(database.url) as desk:
        yield desk


@pytest.fixture
async def connection(desk: Desk) -> AsyncIterator[Connection]:
    async with desk.connected() as connection:
        yield connection


@pytest.fixture
def order() -> Stream:
    return ORDERS.stream(uuid4())


async def test_what_was_appended_is_read_with_versions_from_one(connection: Connection, order: Stream) -> None:
    cause = Provenance(actor="customer/ana", correlation_id=uuid4(), causation_id=uuid4(), saga_id=uuid4())
    made = await ORDERS.append(connection, order, [CREATED, PAID], expected_version=0, provenance=cause)
    read = await ORDERS.read(connection, order)
    assert read == made
    assert [(each.version, each.type) for each in read] == [(1, "ORDER_CREATED"), (2, "PAYMENT_PROCESSED")]
    assert {each.provenance for each in read} == {cause}
    assert read[0].occurred_at.tzinfo is not None


async def test_data_are_exact(connection: Connection, order: Stream) -> None:
    data = {"price": Decimal("0.10"), "id": UUID(int=7), "at": datetime(2026, 1, 2, tzinfo=UTC), "n": 10**30}
    await ORDERS.append(connection, order, [event(**data)], expected_version=0)
    (read,) = await ORDERS.read(connection, order)
    assert read.data == {"price": "0.10", "id": str(UUID(int=7)), "at": "2026-01-02T00:00:00Z", "n": 10**30}


@pytest.mark.parametrize("expected", [0, 1, 3, 4], ids=["new", "behind", "ahead by one", "far ahead"])
async def test_another_version_than_expected_is_a_conflict_that_carries_the_actual(
    connection: Connection, order: Stream, expected: int
) -> None:
    await ORDERS.append(connection, order, [CREATED, PAID], expected_version=0)
    async with connection.transaction():
        with pytest.raises(VersionConflictError) as conflict:
            await ORDERS.append(connection, order, [event(), event()], expected_version=expected)
        assert (conflict.value.expected, conflict.value.actual) == (expected, 2)
        await ORDERS.append(connection, order, [event()], expected_version=2)  # the transaction goes on
    assert [each.version for each in await ORDERS.read(connection, order)] == [1, 2, 3]


async def test_one_id_is_two_streams_for_two_types(connection: Connection, order: Stream) -> None:
    invoices = EventStore("Invoice")
    invoice = invoices.stream(order.aggregate_id)
    await ORDERS.append(connection, order, [CREATED], expected_version=0)
    await invoices.append(connection, invoice, [event()], expected_version=0)
    assert [each.version for each in await invoices.read(connection, invoice)] == [1]


async def test_writers_at_once_make_versions_without_hole_or_double(desk: Desk, order: Stream) -> None:
    writers, rounds = 6, 25

    async def write(name: int) -> None:
        async with desk.connected() as connection:
            for nth in range(rounds):
                both = [event(writer=name, nth=nth), event(writer=name, nth=nth)]
                await decide(ORDERS, connection, order, partial(same, both), attempts=10_000)

    await asyncio.gather(*(write(name) for name in range(writers)))
    async with desk.connected() as connection:
        events = await ORDERS.read(connection, order)
    assert [each.version for each in events] == list(range(1, 2 * writers * rounds + 1))
    pairs = [(first.data, second.data) for first, second in zip(events[::2], events[1::2], strict=True)]
    assert all(first == second for first, second in pairs), "an append was torn apart"


async def test_a_decision_is_made_again_on_what_another_has_written(desk: Desk, order: Stream) -> None:
    seen = []
    async with desk.connected() as connection, desk.connected() as other:

        def decision(events: Any) -> list[NewEvent]:
            seen.append(len(events))
            return [event(after=len(events))]

        async with other.transaction():
            await ORDERS.append(other, order, [CREATED], expected_version=0)
            waiting = asyncio.create_task(decide(ORDERS, connection, order, decision))
            await until(lambda: blocked(desk), "the second writer to wait for the first")
        await waiting
    assert seen == [0, 1]


async def test_a_decision_that_is_always_too_late_ends_with_the_conflict(desk: Desk, order: Stream) -> None:
    async with desk.connected() as connection:
        with pytest.raises(VersionConflictError):
            await decide(AlwaysLate("Order"), connection, order, lambda _: [event()], attempts=3)


class AlwaysLate(EventStore):
    """A store in which another writer is faster each time."""

    async def read(self, connection: Connection, stream: Stream, **options: Any) -> list[StoredEvent]:
        events = await super().read(connection, stream, **options)
        await super().append(connection, stream, [event()], expected_version=len(events))
        return events


async def test_an_append_of_a_transaction_that_fails_leaves_nothing(connection: Connection, order: Stream) -> None:
    async with connection.transaction(force_rollback=True):
        await ORDERS.append(connection, order, [CREATED], expected_version=0)
    assert await ORDERS.version(connection, order) == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"price": float("nan")},
        {"price": Decimal("Infinity")},
        {"at": datetime(2026, 1, 1)},
        {"text": "a\0b"},
        {"text": "\ud800"},
        {"set": {1}},
        {"text": "x" * 1_000_001},
    ],
    ids=["nan", "infinity", "naive time", "nul", "surrogate", "set", "too long"],
)
async def test_data_without_a_json_form_are_rejected_and_nothing_is_written(
    connection: Connection, order: Stream, bad: dict[str, Any]
) -> None:
    with pytest.raises(InvalidEventError):
        await ORDERS.append(connection, order, [CREATED, event(**bad)], expected_version=0)
    assert await ORDERS.version(connection, order) == 0


async def test_a_backslash_before_u0000_is_text(connection: Connection, order: Stream) -> None:
    await ORDERS.append(connection, order, [event(text="\\u0000")], expected_version=0)
    assert (await ORDERS.read(connection, order))[0].data == {"text": "\\u0000"}


async def test_a_stream_is_read_from_a_version_and_up_to_an_instant(connection: Connection, order: Stream) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    days = [NewEvent(type="HAPPENED", data={}, occurred_at=start + timedelta(days=n)) for n in range(4)]
    await ORDERS.append(connection, order, days, expected_version=0)

    async def versions(**options: Any) -> list[int]:
        return [each.version for each in await ORDERS.read(connection, order, **options)]

    assert await versions(from_version=3) == [3, 4]
    assert await versions(until=start + timedelta(days=1)) == [1, 2]
    assert await versions(until=start - timedelta(microseconds=1)) == []
    assert await versions(until=start + timedelta(days=400)) == [1, 2, 3, 4]
    assert await versions(from_version=2, limit=1) == [2]
    with pytest.raises(ValueError, match="zone"):
        await versions(until=datetime(2026, 3, 1))


async def test_a_clock_that_is_set_back_does_not_turn_time_round(connection: Connection, order: Stream) -> None:
    future = datetime.now(UTC) + timedelta(days=1)
    await ORDERS.append(connection, order, [NewEvent(type="H", data={}, occurred_at=future)], expected_version=0)
    await ORDERS.append(connection, order, [event(), event()], expected_version=1)
    assert {each.occurred_at for each in await ORDERS.read(connection, order)} == {future}


@pytest.mark.parametrize("statement", ["UPDATE events SET actor = 'x'", "DELETE FROM events", "TRUNCATE events"])
async def test_not_even_the_owner_changes_what_was_stored(
    connection: Connection, order: Stream, statement: str
) -> None:
    await ORDERS.append(connection, order, [CREATED], expected_version=0)
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        await connection.execute(statement)
    assert await ORDERS.version(connection, order) == 1


async def test_the_serving_role_appends_and_reads_and_nothing_else(
    desk: Desk, connection: Connection, order: Stream, serving_role: str
) -> None:
    await connection.execute(f"GRANT USAGE ON SCHEMA shop TO {serving_role}")
    await connection.execute(serving_grants(serving_role))
    async with desk.connected() as serving:
        await serving.execute(f"SET ROLE {serving_role}")
        await ORDERS.append(serving, order, [CREATED, PAID], expected_version=0)
        assert len(await ORDERS.read(serving, order)) == 2
        assert len((await desk.feed.read(serving)).events) == 2
        for denied in ("UPDATE events SET actor = 'x'", "DELETE FROM events", "TRUNCATE events", "DROP TABLE events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await serving.execute(denied)


@pytest.fixture
async def serving_role(postgres: Any, database: Any) -> AsyncIterator[str]:
    role = f"serving_{uuid4().hex[:8]}"
    async with await psycopg.AsyncConnection.connect(postgres.admin_url, autocommit=True) as admin:
        await admin.execute(f"CREATE ROLE {role}")
        await admin.execute(f"GRANT {role} TO {database.username}")
        yield role
        async with await psycopg.AsyncConnection.connect(
            postgres.admin_url, dbname=database.database, autocommit=True
        ) as inside:
            await inside.execute(f"DROP OWNED BY {role}")
        await admin.execute(f"DROP ROLE {role}")


async def test_no_event_is_missed_however_late_its_transaction_commits(desk: Desk) -> None:
    """F3: the transaction that began first, and took the lowest number, commits last."""
    async with desk.connected() as slow, desk.connected() as fast, desk.connected() as reader:
        async with slow.transaction():
            await ORDERS.append(slow, ORDERS.stream(uuid4()), [event(name="slow")], expected_version=0)
            await ORDERS.append(fast, ORDERS.stream(uuid4()), [event(name="fast")], expected_version=0)
            early = await desk.feed.read(reader)
            assert early.events == []
            assert not early.settled
        page = await desk.feed.read(reader)
    assert [each.data["name"] for each in page.events] == ["slow", "fast"]
    assert page.settled


async def test_six_writers_and_a_reader_at_the_head_miss_nothing(desk: Desk) -> None:
    writers, appends = 6, 100

    async def write() -> None:
        async with desk.connected() as connection:
            for nth in range(appends):
                async with connection.transaction():
                    await ORDERS.append(connection, ORDERS.stream(uuid4()), [event(), event()], expected_version=0)
                    if nth % 7 == 0:
                        await asyncio.sleep(0.003)  # holds its transaction open while others commit

    seen: list[StoredEvent] = []
    reading = asyncio.create_task(collect(desk, seen, count=2 * writers * appends))
    await asyncio.gather(*(write() for _ in range(writers)))
    await asyncio.wait_for(reading, 60)
    assert len({each.id for each in seen}) == len(seen) == 2 * writers * appends
    assert [each.position for each in seen] == sorted(each.position for each in seen)


async def test_a_reader_that_remembers_only_numbers_would_miss_some(desk: Desk) -> None:
    """The mutant of F3: a feed without the gate passes over the transaction that commits late."""
    async with desk.connected() as slow, desk.connected() as fast, desk.connected() as reader:
        numbers = "SELECT position FROM events WHERE position > %s ORDER BY position"
        async with slow.transaction():
            await ORDERS.append(slow, ORDERS.stream(uuid4()), [event()], expected_version=0)
            await ORDERS.append(fast, ORDERS.stream(uuid4()), [event()], expected_version=0)
            seen = [row[0] async for row in await reader.execute(numbers, (0,))]
        seen += [row[0] async for row in await reader.execute(numbers, (seen[-1],))]
    assert len(seen) == 1
    assert len(await desk.all()) == 2


async def test_a_waiting_reader_is_woken_and_does_not_ask_meanwhile(desk: Desk, postgres: Any) -> None:
    seen: list[StoredEvent] = []
    reading = asyncio.create_task(collect(desk, seen, count=2, name="idle reader"))
    async with desk.connected() as connection:
        await ORDERS.append(connection, ORDERS.stream(uuid4()), [event()], expected_version=0)
        await until(lambda: seen, "the first event")
        await until(lambda: waits_idly(desk), "the reader to be idle")
        first = last_question(desk)
        for _ in range(50):
            await connection.execute("SELECT pg_sleep(0.005)")
        assert last_question(desk) == first, "the reader asked although nothing was written"
        await ORDERS.append(connection, ORDERS.stream(uuid4()), [event()], expected_version=0)
    await asyncio.wait_for(reading, 20)
    assert len(seen) == 2


async def test_of_writers_at_once_the_one_that_did_not_notify_is_seen_too(desk: Desk) -> None:
    seen: list[StoredEvent] = []
    reading = asyncio.create_task(collect(desk, seen, count=2))
    async with desk.connected() as first, desk.connected() as second, second.transaction():
        async with first.transaction():
            await ORDERS.append(first, ORDERS.stream(uuid4()), [event()], expected_version=0)
            await ORDERS.append(second, ORDERS.stream(uuid4()), [event()], expected_version=0)
        await until(lambda: seen, "the first event")
    await asyncio.wait_for(reading, 20)
    assert len(seen) == 2


async def test_a_reader_whose_connection_is_cut_goes_on_where_it_was(desk: Desk) -> None:
    seen: list[StoredEvent] = []
    reading = asyncio.create_task(collect(desk, seen, count=2, name="cut reader"))
    async with desk.connected() as connection:
        await ORDERS.append(connection, ORDERS.stream(uuid4()), [event()], expected_version=0)
        await until(lambda: seen, "the first event")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut reader'"
        )
        await ORDERS.append(connection, ORDERS.stream(uuid4()), [event()], expected_version=0)
    await asyncio.wait_for(reading, 20)
    assert len({each.id for each in seen}) == len(seen) == 2


async def test_a_feed_can_be_read_in_parts_and_for_some_types(desk: Desk, connection: Connection) -> None:
    invoices = EventStore("Invoice")
    for nth in range(5):
        await ORDERS.append(connection, ORDERS.stream(uuid4()), [event(nth=nth)], expected_version=0)
        await invoices.append(connection, invoices.stream(uuid4()), [event(nth=nth)], expected_version=0)
    feed, after, numbers = Feed("shop", only=["Order"]), BEGINNING, []
    while events := (await feed.read(connection, after=after, limit=2)).events:
        numbers += [each.data["nth"] for each in events]
        after = Position.parse(str(events[-1].position))
    assert numbers == [0, 1, 2, 3, 4]


async def test_a_table_that_came_from_another_server_is_rejected_until_it_is_put_in_order(
    desk: Desk, connection: Connection, order: Stream
) -> None:
    await ORDERS.append(connection, order, [CREATED, PAID], expected_version=0)
    await connection.execute("ALTER TABLE events DISABLE TRIGGER append_only")
    await connection.execute("UPDATE events SET transaction_id = '4000000000'")
    await connection.execute("ALTER TABLE events ENABLE TRIGGER append_only")
    with pytest.raises(RestoredElsewhereError, match="after_restore"):
        await desk.feed.read(connection)
    await connection.execute(after_restore())
    await ORDERS.append(connection, order, [event()], expected_version=2)
    assert [each.version for each in await desk.all()] == [1, 2, 3]


async def test_old_events_are_read_in_the_newest_form_and_newer_ones_are_an_error(
    connection: Connection, order: Stream
) -> None:
    total = {"type": "object", "required": ["total"], "additionalProperties": False}
    old = {**total, "properties": {"total": {"type": "string"}}}
    new = {**total, "required": ["total", "currency"], "properties": {"total": {}, "currency": {"type": "string"}}}
    first = EventTypes({"ORDER_CREATED": {"1.0": old}})
    second = EventTypes(
        {"ORDER_CREATED": {"1.0": old, "2.0": new}},
        {("ORDER_CREATED", "1.0"): lambda data: {**data, "currency": "EUR"}},
    )
    before, after = EventStore("Order", first), EventStore("Order", second)
    await before.append(connection, order, [CREATED], expected_version=0)
    (read,) = await after.read(connection, order)
    assert (read.schema_version, read.data) == ("2.0", {"total": "209.97", "currency": "EUR"})
    newer = NewEvent(type="ORDER_CREATED", schema_version="2.0", data={"total": "1.00", "currency": "BRL"})
    await after.append(connection, order, [newer], expected_version=1)
    with pytest.raises(UnknownEventError, match=r"ORDER_CREATED 2\.0"):
        await before.read(connection, order)


async def collect(desk: Desk, into: list[StoredEvent], *, count: int, name: str = "reader") -> None:
    async for events in desk.feed.follow(lambda: desk.connect(application_name=name)):
        into += events
        if len(into) >= count:
            return


def blocked(desk: Desk) -> bool:
    return bool(desk.asked("SELECT count(*) FROM pg_locks WHERE NOT granted"))


def waits_idly(desk: Desk) -> bool:
    """Whether the reader has been idle for longer than the pause between two readings, so that it is not in one."""
    longest = timedelta(seconds=3 * LONGEST_PAUSE_SECONDS)
    since = "SELECT clock_timestamp() - state_change FROM pg_stat_activity"
    idle: timedelta | None = desk.asked(f"{since} WHERE application_name = 'idle reader' AND state = 'idle'")
    return idle is not None and idle > longest


def last_question(desk: Desk) -> Any:
    """When the waiting reader began its last statement."""
    return desk.asked("SELECT query_start FROM pg_stat_activity WHERE application_name = 'idle reader'")
