"""The writer on tables of any columns: no value is cut, and unsuitable columns are reported at the start."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from kompensa_cdc.replicas import replica_from_object, retry_parked
from kompensa_cdc.replicas.row_writer import COPY_FROM_ROWS
from kompensa_cdc.replicas.table import TargetError
from kompensa_dev.postgres import Login

from .copies import Change, execute, query
from .writer_desk import copy_of, desk, ids, parked, rows

CHARACTERS = """
CREATE DOMAIN invoices.code AS varchar(3);
CREATE DOMAIN invoices.short_code AS invoices.code NOT NULL;
CREATE TABLE invoices.things (
  id text PRIMARY KEY, version bigint, currency char(3), flags bit(4), code invoices.short_code, tags char(2)[])
"""


def keyed(payloads: Sequence[dict[str, Any]]) -> list[Change]:
    return [Change(key=f"k{number:04}", version=1, payload=payload) for number, payload in enumerate(payloads)]


@pytest.mark.parametrize("count", [1, COPY_FROM_ROWS + 10], ids=["arrays", "copy"])
async def test_columns_of_a_fixed_length_hold_the_events_value(things: Login, count: int) -> None:
    execute(things, CHARACTERS)
    payload = {"currency": "EUR", "flags": "1011", "code": "abc", "tags": "{ab,cd}"}
    async with desk(things, replica=copy_of("currency", "flags", "code", "tags")) as writing:
        await writing.write(keyed([payload] * count))

    assert parked(things) == {}
    assert [{**row, "id": "", "version": 1} for row in rows(things)] == [
        {"id": "", "version": 1} | payload | {"tags": ["ab", "cd"]}
    ] * count


@pytest.mark.parametrize("fitting", [1, COPY_FROM_ROWS + 10], ids=["arrays", "copy"])
@pytest.mark.parametrize(
    "too_long", [{"currency": "EURO"}, {"flags": "10110"}, {"code": "abcdef"}, {"tags": "{abc}"}], ids=str
)
async def test_a_value_that_is_too_long_for_its_column_is_parked_and_never_cut(
    things: Login, fitting: int, too_long: dict[str, Any]
) -> None:
    execute(things, CHARACTERS)
    async with desk(things, replica=copy_of("currency", "flags", "code", "tags")) as writing:
        await writing.write([Change(key="long", version=1, payload={"code": "x"} | too_long)])
        await writing.write(
            [*keyed([{"code": "x"}] * fitting), Change(key="longer", version=1, payload={"code": "x"} | too_long)]
        )

    assert parked(things).keys() == {"long", "longer"}
    assert len(rows(things)) == fitting


async def test_keys_of_a_fixed_length_stay_different(things: Login) -> None:
    execute(things, "CREATE TABLE invoices.things (id char(2) PRIMARY KEY, version bigint, name text)")
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([Change(key=key, version=1, payload={"name": key}) for key in ("DE", "DK", "FR")])
        await writing.write([Change(key="DK", version=2, payload=None)])

    assert parked(things) == {}
    assert ids(things) == ["DE", "FR"]


TIMES = """
CREATE TABLE invoices.things (
  id text PRIMARY KEY, version bigint, plain timestamp, day date, synced timestamp, deleted timestamp);
"""


@pytest.mark.parametrize("count", [1, COPY_FROM_ROWS + 10], ids=["arrays", "copy"])
async def test_columns_without_a_zone_hold_utc_in_any_zone_of_the_database(things: Login, count: int) -> None:
    execute(things, TIMES + "ALTER ROLE CURRENT_USER SET TimeZone = 'America/Sao_Paulo'")
    time = "2026-01-31T23:00:00-05:00"
    replica = copy_of(
        "plain timestamptz",
        "day timestamptz",
        on_delete="SoftDelete",
        syncedAtColumn="synced",
        deletedAtColumn="deleted",
    )
    async with desk(things, replica=replica) as writing:
        await writing.write(keyed([{"plain": time, "day": time}] * count))
        await writing.write([Change(key="k0000", version=2, payload=None)])
        (clock,) = query(things.url, "SELECT (now() AT TIME ZONE 'UTC') - max(synced) AS behind FROM invoices.things")

    first = rows(things)[0]
    assert (first["plain"], first["day"]) == (datetime(2026, 2, 1, 4), date(2026, 2, 1))
    assert first["deleted"] == datetime(2026, 1, 31, 12, 0, 2)
    assert abs(clock["behind"]) < timedelta(hours=1)


async def test_keys_that_are_not_text_are_parked_each_under_its_own_key(things: Login) -> None:
    execute(things, "CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, name text)")
    replica = copy_of("name")
    async with desk(things, replica=replica) as writing:
        await writing.write(
            [Change(key=key, version=1, payload={"name": "x"}) for key in ("a", "n\0", "\udc80", "\udc81", "b")]
        )

    assert ids(things) == ["a", "b"]
    assert parked(things).keys() == {"\ufffdn\\x00", "\ufffd\\x80", "\ufffd\\x81"}
    retried = await retry_parked(replica_from_object(replica), database_url=things.url)
    assert retried.rejected.keys() == parked(things).keys()
    assert ids(things) == ["a", "b"]


PLAIN = """CREATE TABLE invoices.things (
  id text PRIMARY KEY, version bigint, name text, synced timestamp, deleted timestamptz)"""
NEXT_STEPS = {
    "ALTER version TYPE text": "versionColumn version of invoices.things .* make it bigint",
    "ALTER version TYPE real": "versionColumn version of invoices.things .* make it bigint",
    "ALTER synced TYPE text": "syncedAtColumn synced of invoices.things .* make it timestamptz",
    "ALTER deleted TYPE time": "deletedAtColumn deleted of invoices.things .* make it timestamptz",
    "ALTER deleted SET NOT NULL": "deletedAtColumn deleted of invoices.things is NOT NULL: make it nullable",
    "ALTER name TYPE name": "column name of invoices.things .* make it text",
    "DROP name, ADD name text GENERATED ALWAYS AS (id || 'x') STORED": "column name .* is generated .* leave it out",
    "DROP version, ADD version bigint GENERATED ALWAYS AS IDENTITY": "column version of invoices.things is generated",
    "DROP CONSTRAINT things_pkey, ADD PRIMARY KEY (id) DEFERRABLE": "column id of .* make it NOT DEFERRABLE",
}


@pytest.mark.parametrize(("change", "complaint"), NEXT_STEPS.items(), ids=str)
async def test_an_unsuitable_column_is_reported_at_the_start_with_the_next_step(
    things: Login, change: str, complaint: str
) -> None:
    replica = copy_of("name", syncedAtColumn="synced", deletedAtColumn="deleted")
    execute(things, PLAIN)
    async with desk(things, replica=replica) as writing:
        await writing.write([Change(key="a", version=1, payload={"name": "fine"})])
    execute(things, f"TRUNCATE invoices.things; ALTER TABLE invoices.things {change}")

    with pytest.raises(TargetError, match=complaint):
        async with desk(things, replica=replica):
            pass


@pytest.mark.parametrize("kind", ["smallint", "integer", "numeric", "bigint GENERATED BY DEFAULT AS IDENTITY"])
async def test_a_version_may_be_any_whole_number(things: Login, kind: str) -> None:
    execute(things, f"CREATE TABLE invoices.things (id text PRIMARY KEY, version {kind}, name text)")
    async with desk(things, replica=copy_of("name")) as writing:
        await writing.write([Change(key="a", version=9, payload={"name": "older"})])
        await writing.write([Change(key="a", version=10, payload={"name": "newer"})])

    assert rows(things) == [{"id": "a", "version": 10, "name": "newer"}]


PERSONAL = """CREATE DOMAIN invoices.wanted AS text NOT NULL;
CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, deleted timestamptz, name {kind}); {index}"""


@pytest.mark.parametrize(
    ("kind", "index", "complaint"),
    [
        ("date NOT NULL", "", "type date has no blank for onDelete SoftDelete: make it nullable"),
        ("integer NOT NULL", "", "type integer has no blank"),
        ("text NOT NULL UNIQUE", "", "its unique index takes a blank only once: make the column nullable"),
        ("invoices.wanted UNIQUE", "", "takes a blank only once"),
        ("text NOT NULL", "CREATE UNIQUE INDEX ON invoices.things (lower(name))", "takes a blank only once"),
    ],
)
async def test_a_personal_column_that_cannot_be_blanked_is_reported_at_the_start(
    things: Login, kind: str, index: str, complaint: str
) -> None:
    execute(things, PERSONAL.format(kind=kind, index=index))
    with pytest.raises(TargetError, match=f"column name of invoices.things is personal and NOT NULL.*{complaint}"):
        async with desk(things, replica=soft_copy()):
            pass
    async with desk(things, replica=copy_of("name")) as writing:  # a row that goes with its subject needs no blank
        await writing.write([Change(key="a", version=1, payload=None)])


@pytest.mark.parametrize(
    ("kind", "index", "left"),
    [
        ("text UNIQUE", "", None),
        ("integer", "", None),
        ("char(4) NOT NULL", "", "    "),
        ("invoices.wanted", "", ""),
        ("text NOT NULL", "CREATE UNIQUE INDEX ON invoices.things (id, name)", ""),
        ("text NOT NULL", "CREATE UNIQUE INDEX ON invoices.things (name) WHERE deleted IS NULL", ""),
        ("text NOT NULL", "CREATE UNIQUE INDEX ON invoices.things (version) INCLUDE (name)", ""),
    ],
)
async def test_a_personal_column_is_blank_after_any_number_of_deletions(
    things: Login, kind: str, index: str, left: object
) -> None:
    execute(things, PERSONAL.format(kind=kind, index=index))
    async with desk(things, replica=soft_copy()) as writing:
        for number, key in enumerate("abc"):
            await writing.write([Change(key=key, version=2 * number + 1, payload={"name": f"200{number}"})])
            await writing.write([Change(key=key, version=2 * number + 2, payload=None)])

    assert parked(things) == {}
    assert [row["name"] for row in rows(things)] == [left] * 3


def soft_copy() -> dict[str, Any]:
    replica = copy_of("name", on_delete="SoftDelete", deletedAtColumn="deleted")
    replica["spec"]["target"]["columns"][0] |= {"personal": True}
    return replica


MIGRATED = "CREATE TABLE invoices.things (id text PRIMARY KEY, version bigint, amount int, name text NOT NULL)"


@pytest.mark.parametrize(
    ("migration", "payload"),
    [
        ("ALTER amount TYPE numeric", {"amount": 1.5, "name": "x"}),
        ("ALTER name DROP NOT NULL", {"amount": 1, "name": None}),
    ],
)
async def test_an_event_that_fits_after_a_migration_is_not_judged_by_the_old_table(
    things: Login, migration: str, payload: dict[str, Any]
) -> None:
    execute(things, MIGRATED)
    replica = copy_of("amount numeric", "name")
    change = Change(key="a", version=1, payload=payload)
    async with desk(things, replica=replica) as writing:
        execute(things, f"ALTER TABLE invoices.things {migration}")
        with pytest.raises(TargetError, match="has changed since it was read"):
            await writing.write([change])
        assert parked(things) == {}
    async with desk(things, replica=replica) as writing:
        await writing.write([change])

    assert parked(things) == {}
    assert ids(things) == ["a"]
