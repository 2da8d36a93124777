"""The writer alone, on a real table: every order of arrival, every cut into batches, and who may write at all."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import AsyncConnection, sql

from kompensa.dev.postgres import Login
from kompensa_cdc.events import Poison
from kompensa_cdc.replicas import replica_from_object, retry_parked
from kompensa_cdc.replicas.apply import COPY_FROM_ROWS, Writer
from kompensa_cdc.replicas.batch import Batch
from kompensa_cdc.replicas.bookkeeping import Advance, Bookkeeping, Claim, FencedError
from kompensa_cdc.replicas.changes import Change as Prepared
from kompensa_cdc.replicas.prepare import preparer
from kompensa_cdc.replicas.statements import statements
from kompensa_cdc.replicas.table import TargetError, read_table
from kompensa_cdc.replicas.target import connect

from .copies import CREATED, DELETED, UPDATED, Change, expected_rows, prepare_target, query, read_rows, replica_object

ANA = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
BIA = "3b241101-e2bb-4255-8caf-4136c566a962"
TOPIC = ("t.customers", 0)


@dataclass(frozen=True)
class Record:
    change: Change
    offset_: int

    def topic(self) -> str:
        return TOPIC[0]

    def partition(self) -> int:
        return TOPIC[1]

    def offset(self) -> int:
        return self.offset_

    def key(self) -> bytes:
        return self.change.key.encode()

    def value(self) -> bytes | None:
        return None if self.change.body is None else json.dumps(self.change.body).encode()

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        return list(self.change.headers)

    def timestamp(self) -> tuple[int, int]:
        return (1, 0)


class Desk:
    """A writer with a connection, and a claim on one partition that it moves along."""

    def __init__(self, connection: AsyncConnection, writer: Writer, prepare: object) -> None:
        self.connection = connection
        self.writer = writer
        self._prepare = prepare
        self.claim: Claim | None = None

    async def take_over(self) -> None:
        self.claim = (await self.writer.books.claim(self.connection, [TOPIC]))[TOPIC]

    async def write(self, changes: Sequence[Change]) -> None:
        """Apply the changes as one batch at our offset."""
        assert self.claim is not None
        start = self.claim.next_offset
        items = tuple(self._prepared(change, start + index) for index, change in enumerate(changes))
        move = Advance(
            topic=TOPIC[0],
            partition=TOPIC[1],
            start=start,
            next_offset=start + len(changes),
            epoch=self.claim.epoch,
            records=len(changes),
        )
        await self.writer.apply(self.connection, Batch(items, (move,)))
        self.claim = replace(self.claim, next_offset=move.next_offset)

    def _prepared(self, change: Change, offset: int) -> Prepared | Poison:
        prepared = self._prepare(Record(change, offset))  # type: ignore[operator]
        assert isinstance(prepared, Prepared | Poison)
        return prepared


@asynccontextmanager
async def desk(login: Login, *, on_delete: str = "SoftDelete") -> AsyncIterator[Desk]:
    spec = replica_from_object(replica_object("t", onDelete=on_delete))
    books = Bookkeeping("invoices", spec.replica)
    async with await connect(login.url) as connection:
        await books.create_tables(connection)
        table = await read_table(connection, spec.target)
        writer = Writer(books, statements(spec, table, books), table.may_stage)
        await writer.prepare(connection)
        made = Desk(connection, writer, preparer(spec, table))
        await made.take_over()
        yield made


@pytest.fixture
def target(database: Login) -> Login:
    prepare_target(database)
    return database


def emptied(login: Login) -> None:
    with psycopg.connect(login.url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE invoices.customers, invoices.kompensa_replica_tombstones, invoices.kompensa_replica_parked"
        )


def cuts(changes: Sequence[Change]) -> Iterable[list[Sequence[Change]]]:
    """The changes one by one, all at once, and cut in the middle."""
    middle = len(changes) // 2
    return ([[change] for change in changes], [changes], [changes[:middle], changes[middle:]])


LIVES = {
    "ends deleted": (
        Change(key=ANA, version=1, type=CREATED),
        Change(key=ANA, version=2),
        Change(key=ANA, version=3, type=DELETED),
    ),
    "deleted twice and back": (
        Change(key=ANA, version=1, type=CREATED),
        Change(key=ANA, version=2, type=DELETED),
        Change(key=ANA, version=3, payload={"document": None}),
        Change(key=ANA, version=4, type=DELETED),
    ),
    "back for good": (
        Change(key=ANA, version=1, type=CREATED),
        Change(key=ANA, version=2, type=DELETED),
        Change(key=ANA, version=3),
        Change(key=ANA, version=4),
    ),
}


@pytest.mark.parametrize("on_delete", ["SoftDelete", "Delete"])
@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
async def test_every_order_of_arrival_gives_the_same_row(target: Login, life: Sequence[Change], on_delete: str) -> None:
    expected = expected_rows(life, soft=on_delete == "SoftDelete")
    async with desk(target, on_delete=on_delete) as writing:
        for order in itertools.permutations(life):
            for batches in cuts(order):
                emptied(target)
                for batch in batches:
                    await writing.write(batch)
                await writing.write(order[:2])  # and once more what came first

                assert read_rows(target.url) == expected, [change.version for change in order]


async def test_a_writer_without_the_version_guard_would_be_noticed(target: Login) -> None:
    async with desk(target) as writing:
        guard = ' WHERE c."source_version" < excluded."source_version"'
        text = writing.writer.statements.live_from_arrays.as_string(writing.connection)
        assert guard in text
        mutated = sql.Composed([sql.SQL(text.replace(guard, ""))])
        writing.writer = replace(
            writing.writer, statements=replace(writing.writer.statements, live_from_arrays=mutated)
        )
        await writing.write([Change(key=ANA, version=2)])
        await writing.write([Change(key=ANA, version=1, type=CREATED)])

    assert read_rows(target.url) != expected_rows([Change(key=ANA, version=2)])


async def test_a_large_batch_is_copied_with_the_same_guard(target: Login) -> None:
    keys = [f"00000000-0000-4000-8000-{number:012x}" for number in range(COPY_FROM_ROWS + 10)]
    newer = [Change(key=key, version=2, payload={"fullName": "tab\t, line\n, back\\slash"}) for key in keys[::2]]
    older = [Change(key=key, version=1, type=CREATED) for key in keys]
    async with desk(target) as writing:
        await writing.write(newer)
        await writing.write(older)

    assert read_rows(target.url) == expected_rows([*newer, *older])


async def test_without_the_right_to_temporary_tables_arrays_carry_large_batches(target: Login) -> None:
    changes = [Change(key=f"00000000-0000-4000-8000-{number:012x}", version=1) for number in range(COPY_FROM_ROWS + 10)]
    async with desk(target) as writing:
        await writing.connection.execute("DROP TABLE kompensa_staged")
        writing.writer = replace(writing.writer, may_stage=False)
        await writing.write(changes)

    assert read_rows(target.url) == expected_rows(changes)


async def test_a_zombie_cannot_write_after_a_newcomer_took_over(target: Login) -> None:
    async with desk(target) as zombie, desk(target) as newcomer:
        with pytest.raises(FencedError):
            await zombie.write([Change(key=ANA, version=1, type=CREATED), Change(key=ANA, version=2)])
        assert read_rows(target.url) == {}

        await newcomer.write([Change(key=ANA, version=1, type=CREATED)])
        assert read_rows(target.url) == expected_rows([Change(key=ANA, version=1)])


async def test_a_batch_that_was_written_cannot_be_written_again(target: Login) -> None:
    async with desk(target) as writing:
        before = writing.claim
        await writing.write([Change(key=ANA, version=1, type=CREATED)])
        writing.claim = before
        with pytest.raises(FencedError):
            await writing.write([Change(key=BIA, version=1, type=CREATED)])

    assert read_rows(target.url).keys() == {ANA}


@pytest.mark.parametrize("lost", ["AND o.epoch = m.epoch", "AND o.next_offset = m.start"])
async def test_a_fence_that_compares_only_half_would_be_noticed(
    target: Login, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Bookkeeping.compose

    def halved(self: Bookkeeping, text: str) -> sql.Composed:
        return whole(self, text.replace(lost, ""))

    monkeypatch.setattr(Bookkeeping, "compose", halved)
    async with desk(target) as zombie, desk(target) as newcomer:
        if "epoch" in lost:
            await zombie.write([Change(key=ANA, version=1, type=CREATED)])
        else:
            before = newcomer.claim
            await newcomer.write([Change(key=BIA, version=1, type=CREATED)])
            newcomer.claim = before
            await newcomer.write([Change(key=ANA, version=1, type=CREATED)])

    assert ANA in read_rows(target.url)


PARKED = "SELECT key, aggregate_version, error FROM invoices.kompensa_replica_parked ORDER BY key, aggregate_version"
TOO_LONG: dict[str, Any] = {"email": "x" * 41}  # refused by the table
NO_TEXT: dict[str, Any] = {"email": 7}  # refused by its reader


def parked_versions(login: Login) -> list[tuple[str, int]]:
    return [(row["key"], row["aggregate_version"]) for row in query(login.url, PARKED)]


async def test_what_the_table_refuses_is_parked_and_the_rest_is_written(target: Login) -> None:
    keys = [f"00000000-0000-4000-8000-{number:012x}" for number in range(20)]
    fine = [Change(key=key, version=1, type=CREATED) for key in keys]
    too_long = Change(key=keys[7], version=2, payload=TOO_LONG)
    async with desk(target) as writing:
        await writing.write([*fine, too_long])
        (parked,) = query(target.url, PARKED)
        assert (parked["key"], parked["aggregate_version"]) == (keys[7], 2)
        assert "too long for type character varying(40)" in parked["error"]
        assert read_rows(target.url) == expected_rows(fine)

        later = [Change(key=keys[7], version=3), Change(key=keys[8], version=2)]
        await writing.write(later)

    assert parked_versions(target) == []
    assert read_rows(target.url) == expected_rows([*fine, *later])


@pytest.fixture
def strict_target(target: Login) -> Login:
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE invoices.customers ADD CHECK (full_name <> 'nobody')")
    return target


@given(
    kinds=st.lists(st.sampled_from(["state", "deletion", "refused", "unread"]), min_size=1, max_size=6),
    on_delete=st.sampled_from(["SoftDelete", "Delete"]),
    data=st.data(),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_repetition_gives_the_newest_that_fits_and_parks_only_what_is_newer(
    strict_target: Login, kinds: list[str], on_delete: str, data: st.DataObject
) -> None:
    payloads: dict[str, dict[str, Any]] = {"refused": {"fullName": "nobody"}, "unread": NO_TEXT}
    events = [
        Change(
            key=ANA, version=version, type=DELETED if kind == "deletion" else UPDATED, payload=payloads.get(kind, {})
        )
        for version, kind in enumerate(kinds, start=1)
    ]
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))
    order = data.draw(st.permutations([*events, *again]))
    size = data.draw(st.integers(1, len(order)))

    async def write() -> None:
        async with desk(strict_target, on_delete=on_delete) as writing:
            emptied(strict_target)
            for start in range(0, len(order), size):
                await writing.write(order[start : start + size])

    asyncio.run(write())
    fit = [event for event, kind in zip(events, kinds, strict=True) if kind not in payloads]
    newest = max((event.version for event in fit), default=0)
    assert read_rows(strict_target.url) == expected_rows(fit, soft=on_delete == "SoftDelete")
    unfit = {event.version for event, kind in zip(events, kinds, strict=True) if kind in payloads}
    assert {version for _, version in parked_versions(strict_target)} == {each for each in unfit if each > newest}


async def test_a_version_that_nobody_can_read_is_shown_until_the_copy_has_moved_on(target: Login) -> None:
    async with desk(target) as writing:
        await writing.write([Change(key=ANA, version=5, type=CREATED), Change(key=ANA, version=0)])
        assert parked_versions(target) == [(ANA, 6)]
        await writing.write([Change(key=ANA, version=4), Change(key=ANA, version=5)])
        assert parked_versions(target) == [(ANA, 6)]

        await writing.write([Change(key=ANA, version=6, type=DELETED)])

    assert parked_versions(target) == []


async def test_the_poison_of_a_key_that_can_be_none_is_parked_beside_others(target: Login) -> None:
    async with desk(target) as writing:
        await writing.write([Change(key=BIA, version=1, type=CREATED)])
        await writing.write(
            [Change(key="no uuid", version=1), Change(key=BIA, version=1, payload=NO_TEXT), Change(key=ANA, version=1)]
        )

    assert parked_versions(target) == [("no uuid", 1)]
    assert read_rows(target.url) == expected_rows([Change(key=BIA, version=1), Change(key=ANA, version=1)])


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        (
            """CREATE FUNCTION invoices.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN IF NEW.email LIKE 'x%' THEN RAISE EXCEPTION 'no x here'; END IF; RETURN NEW; END $$;
               CREATE TRIGGER refuse BEFORE INSERT ON invoices.customers FOR EACH ROW
               EXECUTE FUNCTION invoices.refuse()""",
            "no x here",
        ),
        ("CREATE INDEX ON invoices.customers (full_name)", "index row"),
    ],
    ids=["a trigger", "an index"],
)
async def test_what_a_trigger_or_an_index_refuses_is_parked_too(target: Login, ddl: str, reason: str) -> None:
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))
    async with desk(target) as writing:
        await writing.connection.execute(ddl)
        await writing.write(
            [Change(key=ANA, version=1, payload={"email": "x", "fullName": noise}), Change(key=BIA, version=1)]
        )

    (parked,) = query(target.url, PARKED)
    assert parked["key"] == ANA
    assert reason in parked["error"]
    assert read_rows(target.url) == expected_rows([Change(key=BIA, version=1)])


async def test_a_number_of_any_size_in_a_refused_event_is_parked_as_it_came(target: Login) -> None:
    refused = Change(key=ANA, version=1, payload=TOO_LONG | {"billingAddress": {"n": 10**4000}})
    async with desk(target) as writing:
        await writing.write([refused])
    (row,) = query(target.url, "SELECT payload FROM invoices.kompensa_replica_parked")

    assert row["payload"] == json.dumps(refused.body)


async def test_a_retry_applies_what_fits_and_keeps_only_what_is_newer_and_does_not(target: Login) -> None:
    spec = replica_from_object(replica_object("t"))
    async with desk(target) as writing:
        await writing.write(
            [
                Change(key=ANA, version=1, payload=NO_TEXT),
                Change(key=ANA, version=2, payload=TOO_LONG),
                Change(key=ANA, version=3, payload=NO_TEXT),
                Change(key=BIA, version=1, payload=NO_TEXT),
                Change(key=BIA, version=2, payload=TOO_LONG),
            ]
        )
        assert parked_versions(target) == [(BIA, 1), (BIA, 2), (ANA, 1), (ANA, 2), (ANA, 3)]
        await writing.connection.execute("ALTER TABLE invoices.customers ALTER COLUMN email TYPE text")

    retried = await retry_parked(spec, database_url=target.url)
    assert retried.applied == (BIA,)
    assert retried.refused.keys() == {ANA}
    assert "field email" in retried.refused[ANA]
    assert parked_versions(target) == [(ANA, 3)]
    mended = [Change(key=key, version=2, payload=TOO_LONG) for key in (ANA, BIA)]
    assert read_rows(target.url) == expected_rows(mended)

    unknown = await retry_parked(spec, database_url=target.url, key="00000000-0000-4000-8000-000000000001")
    assert (unknown.applied, unknown.refused) == ((), {})


@pytest.mark.parametrize(
    ("ddl", "complaint"),
    [
        ("DROP TABLE invoices.customers", "table invoices.customers does not exist"),
        ("ALTER TABLE invoices.customers DROP COLUMN email", "has no column email"),
        ("ALTER TABLE invoices.customers ADD phone text NOT NULL", "column phone of invoices.customers is NOT NULL"),
        (
            "ALTER TABLE invoices.customers DROP CONSTRAINT customers_orders_customer_id_key",
            "needs a unique index of its own",
        ),
    ],
)
async def test_a_table_that_cannot_hold_the_copy_is_told_in_one_sentence(
    target: Login, ddl: str, complaint: str
) -> None:
    async with await connect(target.url) as connection:
        await connection.execute(ddl)
        with pytest.raises(TargetError, match=complaint):
            await read_table(connection, replica_from_object(replica_object("t")).target)
