"""Parked events on a real table: which are parked, when they are superseded, and the effect of a retry."""

import asyncio
import json
import random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kompensa_cdc.replicas import replica_from_object, retry_parked
from kompensa_dev.postgres import Login

from .copies import CREATED, DELETED, UPDATED, Change, expected_rows, query, read_rows, replica_object
from .writer_desk import ANA, BIA, desk, emptied

PARKED = "SELECT key, aggregate_version, error FROM invoices.kompensa_replica_parked ORDER BY key, aggregate_version"
TOO_LONG: dict[str, Any] = {"email": "x" * 41}  # refused by the table
NO_TEXT: dict[str, Any] = {"email": 7}  # refused by its reader


def parked_versions(login: Login) -> list[tuple[str, int]]:
    return [(row["key"], row["aggregate_version"]) for row in query(login.url, PARKED)]


async def test_events_that_the_table_rejects_are_parked_and_the_rest_is_written(target: Login) -> None:
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
def test_any_order_and_repetition_gives_the_newest_fitting_state_and_parks_only_newer_events(
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


async def test_poison_with_an_unreadable_version_is_shown_until_the_copy_has_moved_on(target: Login) -> None:
    async with desk(target) as writing:
        await writing.write([Change(key=ANA, version=5, type=CREATED), Change(key=ANA, version=0)])
        assert parked_versions(target) == [(ANA, 6)]
        await writing.write([Change(key=ANA, version=4), Change(key=ANA, version=5)])
        assert parked_versions(target) == [(ANA, 6)]

        await writing.write([Change(key=ANA, version=6, type=DELETED)])

    assert parked_versions(target) == []


async def test_poison_under_an_impossible_key_is_parked_next_to_others(target: Login) -> None:
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
async def test_events_that_a_trigger_or_an_index_rejects_are_parked_too(target: Login, ddl: str, reason: str) -> None:
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


async def test_a_retry_applies_fitting_events_and_keeps_only_newer_ones_that_do_not_fit(target: Login) -> None:
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
    assert retried.rejected.keys() == {ANA}
    assert "field email" in retried.rejected[ANA]
    assert parked_versions(target) == [(ANA, 3)]
    mended = [Change(key=key, version=2, payload=TOO_LONG) for key in (ANA, BIA)]
    assert read_rows(target.url) == expected_rows(mended)

    unknown = await retry_parked(spec, database_url=target.url, key="00000000-0000-4000-8000-000000000001")
    assert (unknown.applied, unknown.rejected) == ((), {})
