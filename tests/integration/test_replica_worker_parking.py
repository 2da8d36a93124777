"""A worker and events that do not fit: they are parked alone, superseded by newer events, and retried."""

import psycopg

from kompensa_dev.postgres import Login

from .copies import (
    CREATED,
    DELETED,
    Change,
    Topics,
    eventually,
    expected_rows,
    query,
    read_rows,
)
from .worker_desk import StartWorker, command, key, wait_drained

EMAIL_SCHEMA = {
    "type": "object",
    "required": ["email"],
    "properties": {"email": {"type": "string", "format": "email"}},
}
PARKED = "SELECT * FROM invoices.kompensa_replica_parked ORDER BY position"


def test_a_poison_event_parks_its_key_and_nothing_else(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    worker = start_worker(eventSchema=EMAIL_SCHEMA)
    worker.wait_ready()
    good = [Change(key=key(number), version=1, type=CREATED) for number in range(5)]
    bad = Change(key=key(1), version=3, payload={"email": "no address"})
    topics.send([*good, bad])
    wait_drained(worker, 6)
    topics.send([Change(key=key(1), version=2), Change(key=key(2), version=2)])
    topics.send_raw(Change(key=key(3), version=2), b"{not json")
    topics.send([Change(key=key(4), version=2)])
    wait_drained(worker, 10)
    status = eventually(worker.status, lambda status: status["parkedKeys"] == 2)

    assert status["ready"]
    assert key(3) in status["lastError"]
    parked = query(target.url, PARKED)
    assert [(row["key"], row["aggregate_version"]) for row in parked] == [(key(1), 3), (key(3), 2)]
    assert parked[0]["error"] == 'email does not fit the schema: the value is not a "email"'
    assert parked[1]["payload"] == "{not json"
    applied = [*good, *(Change(key=key(number), version=2) for number in (1, 2, 4))]
    assert read_rows(target.url) == expected_rows(applied)


def test_a_newer_event_frees_a_parked_key_and_a_deletion_leaves_nothing_behind(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    worker = start_worker(eventSchema=EMAIL_SCHEMA)
    worker.wait_ready()
    misfit = {"email": "Ana Souza, Rua A 1"}
    topics.send([Change(key=key(number), version=1, type=CREATED, payload=misfit) for number in (1, 2)])
    wait_drained(worker, 2)
    eventually(worker.status, lambda status: status["parkedKeys"] == 2)

    fixed, deleted = Change(key=key(1), version=2), Change(key=key(2), version=2, type=DELETED)
    topics.send([fixed, deleted])
    wait_drained(worker, 4)
    eventually(worker.status, lambda status: status["parkedKeys"] == 0)

    assert query(target.url, PARKED) == []
    assert read_rows(target.url) == expected_rows([fixed])
    topics.send([Change(key=key(2), version=1, type=CREATED, payload=misfit)])  # delivered once more
    wait_drained(worker, 5)
    assert query(target.url, PARKED) == []


def test_a_record_that_cannot_be_decoded_is_parked_and_the_worker_goes_on(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    worker = start_worker(eventSchema=EMAIL_SCHEMA)
    worker.wait_ready()
    before = Change(key=key(1), version=1, type=CREATED)
    after = [Change(key=key(number), version=2) for number in (1, 2)]
    topics.send([before])
    topics.send_raw(Change(key=key(2), version=3), b'{"email":' + b"[" * 2000 + b"]" * 2000 + b"}")
    topics.send_raw(Change(key=key(3), version=int("9" * 4000)), b"{}")
    topics.send_raw(Change(key="k" * 5000, version=1), b"{}")
    topics.send(after)
    wait_drained(worker, 6)
    status = eventually(worker.status, lambda status: status["parkedKeys"] == 3)

    assert status["ready"]
    assert worker.process.is_alive
    errors = [row["error"] for row in query(target.url, PARKED)]
    assert sorted(error.split(":")[0] for error in errors) == [
        f"header aggregate-version is {'9' * 60!r}… (4000 characters)",
        "the record's key has 5000 characters",
        "the value is nested too deeply",
    ]
    assert read_rows(target.url) == expected_rows([before, *after])


def test_a_parked_key_is_applied_after_its_cause_is_fixed(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    worker = start_worker()
    worker.wait_ready()
    long = {"email": f"{'x' * 40}@example.com"}
    changes = [
        Change(key=key(1), version=1, type=CREATED),
        Change(key=key(1), version=2, payload=long),
        Change(key=key(1), version=3, payload=long),
    ]
    topics.send(changes)
    topics.send_raw(Change(key=key(2), version=1, type=CREATED), b"{not json")
    wait_drained(worker, 4)
    eventually(worker.status, lambda status: status["parkedKeys"] == 2)
    assert read_rows(target.url) == expected_rows(changes[:1])
    assert "0 keys applied, 2 still parked" in command(worker, "retry")

    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute("ALTER TABLE invoices.customers ALTER COLUMN email TYPE text")
    output = command(worker, "retry")
    later = Change(key=key(1), version=4)
    topics.send([later])
    wait_drained(worker, 5)

    assert f"{key(2)} stays parked: the value is not JSON" in output
    assert "1 keys applied, 1 still parked" in output
    assert read_rows(target.url) == expected_rows([*changes, later])
    eventually(worker.status, lambda status: status["parkedKeys"] == 1)
