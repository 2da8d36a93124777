"""The rows that the kit's README lets a user delete, by the statements that it shows."""

from __future__ import annotations

import re

import psycopg

from kompensa.journal.postgres import PostgresJournal
from kompensa_dev.checkout import checkout
from kompensa_dev.postgres import Login
from kompensa_participant import outbox_table, reaction_tables
from tests.integration.conftest_participants import Participant
from tests.support.journal_rows import acceptance, ended, joined, written

DAY = 86_400.0


def statements() -> list[str]:
    """The SQL of the section: the time in the journal, operations, inbox, outbox."""
    text = (checkout() / "services/kit/README.md").read_text(encoding="utf-8")
    section = text.partition("## What may be deleted")[2].partition("\n## ")[0]
    return re.findall(r"```sql\n(.*?)```", section, re.DOTALL)


async def oldest_that_may_still_ask(login: Login, *ages: float, done: tuple[float, ...] = ()) -> float:
    """How many days ago, by the README's statement, in a journal of sagas that run and that have ended."""
    journal = PostgresJournal(login.url)
    await journal.open()
    lease = await joined(journal)
    with psycopg.connect(login.url) as connection:
        (now,) = connection.execute("SELECT extract(epoch FROM now())::float8").fetchone() or (0.0,)
    for age in ages:
        await written(journal, lease, acceptance(created_at=now - age * DAY, phase="InterventionRequired"))
    for age in done:
        over = acceptance(created_at=now - age * DAY)
        await written(journal, lease, over)
        await written(journal, lease, ended(over.row.id))
    await journal.close()
    with psycopg.connect(login.url) as connection:
        (before,) = connection.execute(statements()[0].encode()).fetchone() or (None,)
    assert before is not None
    return float(round((now - before.timestamp()) / DAY, 1))


async def test_a_saga_that_waits_for_a_person_keeps_its_operations_however_old_it_is(database: Login) -> None:
    assert await oldest_that_may_still_ask(database, 30, 1, done=(60,)) == 30.0


async def test_without_such_a_saga_operations_are_kept_for_the_journals_retention(database: Login) -> None:
    assert await oldest_that_may_still_ask(database, 1, done=(60,)) == 7.0


async def test_only_operations_from_before_that_time_go(points: Participant) -> None:
    old, young = points.saga(), points.saga()
    for saga in (old, young):
        await saga.compensation("/grants/revoke")
    with psycopg.connect(points.login.url, options="-c search_path=points") as connection:
        connection.execute(
            "UPDATE operations SET created_at = now() - interval '9 days' WHERE saga_id = %s", [old.saga_id]
        )
        connection.execute(statements()[1].replace(":'ended_before'", "now() - interval '8 days'").encode())
    assert (await old.probe("action"))["state"] == "Absent"
    assert (await young.probe("action"))["state"] == "Tombstoned"


def test_of_the_inbox_only_events_go_that_were_settled_long_ago(database: Login) -> None:
    insert = (
        "INSERT INTO inbox (event_id, state, topic, partition, record_offset, key, event_type, ordered, settled_at)"
        " VALUES (gen_random_uuid(), %s, 't', 0, 0, %s, 'e', true, now() - make_interval(days => %s))"
    )
    events = [("Handled", "old", 31), ("Discarded", "old", 31), ("Handled", "young", 29), ("Parked", "waits", None)]
    with psycopg.connect(database.url) as connection:
        connection.execute(reaction_tables().encode())
        for event in events:
            connection.execute(insert, event)
        connection.execute(statements()[2].encode())
        left = connection.execute("SELECT key FROM inbox ORDER BY 1").fetchall()
    assert left == [("waits",), ("young",)]


def test_of_published_events_the_last_of_each_aggregate_stays(database: Login) -> None:
    insert = (
        "INSERT INTO outbox VALUES (gen_random_uuid(), 'customer', %s, %s, 'customer-updated', '1.0', '{}', NULL, NULL,"
        " now() - make_interval(days => %s))"
    )
    quiet, busy = "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0001", "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0002"
    with psycopg.connect(database.url) as connection:
        connection.execute(outbox_table().encode())
        for event in [(quiet, 1, 30), (quiet, 2, 20), (busy, 1, 30), (busy, 2, 5), (busy, 3, 1)]:
            connection.execute(insert, event)
        connection.execute(statements()[3].encode())
        left = connection.execute("SELECT aggregate_id::text, aggregate_version FROM outbox ORDER BY 1, 2").fetchall()
    assert left == [(quiet, 2), (busy, 2), (busy, 3)]
