"""The worker as users run it: a process between a real Kafka and a real PostgreSQL, and what may happen to both."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run

from .copies import (
    CREATED,
    DELETED,
    UPDATED,
    Change,
    Topics,
    Worker,
    eventually,
    expected_rows,
    prepare_target,
    query,
    read_rows,
    replica_object,
)

Start = Callable[..., Worker]


@pytest.fixture
def topics(kafka: KafkaBroker) -> Topics:
    return Topics(kafka.bootstrap)


@pytest.fixture
def start(run: Run, kafka: KafkaBroker, topics: Topics, target: Login, tmp_path: Path) -> Iterator[Start]:
    """Start a worker for the topics' Replica; what a test says of its spec is added."""
    workers: list[Worker] = []

    def started(*, bootstrap: str = kafka.bootstrap, database_url: str = target.url, **spec: Any) -> Worker:
        replica = replica_object(topics.prefix, **spec)
        worker = Worker(run, replica, database_url=database_url, bootstrap=bootstrap, folder=tmp_path)
        workers.append(worker)
        return worker

    yield started
    for worker in workers:
        worker.process.kill()


def key(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def lives(count: int, *, seed: int) -> list[Change]:
    """Customers' whole lives, shuffled so that nothing arrives in order, a fifth of it twice."""
    changes: list[Change] = []
    for number in range(count):
        changes.append(Change(key=key(number), version=1, type=CREATED))
        changes += [Change(key=key(number), version=version) for version in range(2, 2 + number % 4)]
        if number % 3 == 0:
            changes.append(Change(key=key(number), version=20, type=DELETED))
    mixed = random.Random(seed)
    changes += mixed.sample(changes, len(changes) // 5)
    mixed.shuffle(changes)
    return changes


def wait_applied(worker: Worker, records: int) -> dict[str, Any]:
    return eventually(worker.status, lambda status: status.get("appliedRecords", 0) >= records)


def wait_drained(worker: Worker, records: int) -> dict[str, Any]:
    return eventually(
        worker.status,
        lambda status: status.get("appliedRecords", 0) >= records and status["lagRecords"] == 0,
    )


def test_a_worker_killed_again_and_again_gives_exactly_the_copy(topics: Topics, target: Login, start: Start) -> None:
    changes = lives(4000, seed=1)
    quarter = len(changes) // 4
    worker = start(batch={"maxRecords": 200, "maxWait": "10ms"})
    worker.wait_ready()
    for part in range(4):
        topics.send(changes[part * quarter : (part + 1) * quarter])
        wait_applied(worker, part * quarter + 1)
        worker.kill()
        worker.restart()
        worker.wait_ready()
    topics.send(changes[4 * quarter :])
    status = wait_drained(worker, len(changes))

    assert read_rows(target.url) == expected_rows(changes)
    # Every record was counted in the transaction that applied it: neither lost nor applied twice.
    assert status["appliedRecords"] == len(changes)
    assert status["parkedKeys"] == 0


def test_a_paused_worker_that_lost_its_claim_starts_anew_and_repeats_nothing(
    topics: Topics, target: Login, start: Start
) -> None:
    changes = lives(500, seed=2)
    worker = start()
    worker.wait_ready()
    topics.send(changes[:300])
    wait_drained(worker, 300)

    worker.pause()
    topics.send(changes[300:])
    rewind(worker)
    worker.go_on()

    eventually(lambda: read_rows(target.url), lambda rows: rows == expected_rows(changes))
    status = wait_drained(worker, len(changes))
    assert status["appliedRecords"] == len(changes)
    assert status["ready"]


def rewind(worker: Worker) -> str:
    return command(worker, "rewind")


def command(worker: Worker, verb: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kompensa_cdc.main", verb],
        env={**os.environ, **worker.environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_reading_again_from_the_beginning_changes_nothing(topics: Topics, target: Login, start: Start) -> None:
    changes = lives(300, seed=3)
    worker = start()
    worker.wait_ready()
    topics.send(changes)
    wait_drained(worker, len(changes))
    eventually(worker.status, lambda status: status["lagRecords"] == 0)
    everything = "SELECT * FROM invoices.customers ORDER BY orders_customer_id"
    before = query(target.url, everything)

    read = "SELECT sum(applied) FROM invoices.kompensa_replica_offsets"
    epochs = "SELECT epoch FROM invoices.kompensa_replica_offsets ORDER BY topic, partition"
    old = query(target.url, epochs)
    assert "9 partitions set back to the beginning" in rewind(worker)
    eventually(lambda: query(target.url, read), lambda rows: rows == [{"sum": len(changes)}])
    assert all(now["epoch"] > then["epoch"] for now, then in zip(query(target.url, epochs), old, strict=True))
    wait_drained(worker, len(changes))

    # Also local id and synced_at: no row was touched.
    assert query(target.url, everything) == before


EMAIL_SCHEMA = {
    "type": "object",
    "required": ["email"],
    "properties": {"email": {"type": "string", "format": "email"}},
}
PARKED = "SELECT * FROM invoices.kompensa_replica_parked ORDER BY position"


def test_a_poison_event_parks_its_key_and_nothing_else(topics: Topics, target: Login, start: Start) -> None:
    worker = start(eventSchema=EMAIL_SCHEMA)
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


def test_a_parked_key_is_healed_by_its_owner_and_a_deletion_leaves_nothing_behind(
    topics: Topics, target: Login, start: Start
) -> None:
    worker = start(eventSchema=EMAIL_SCHEMA)
    worker.wait_ready()
    misfit = {"email": "Ana Souza, Rua A 1"}
    topics.send([Change(key=key(number), version=1, type=CREATED, payload=misfit) for number in (1, 2)])
    wait_drained(worker, 2)
    eventually(worker.status, lambda status: status["parkedKeys"] == 2)

    mended, deleted = Change(key=key(1), version=2), Change(key=key(2), version=2, type=DELETED)
    topics.send([mended, deleted])
    wait_drained(worker, 4)
    eventually(worker.status, lambda status: status["parkedKeys"] == 0)

    assert query(target.url, PARKED) == []
    assert read_rows(target.url) == expected_rows([mended])
    topics.send([Change(key=key(2), version=1, type=CREATED, payload=misfit)])  # delivered once more
    wait_drained(worker, 5)
    assert query(target.url, PARKED) == []


def test_a_record_that_cannot_be_decoded_is_parked_and_the_worker_goes_on(
    topics: Topics, target: Login, start: Start
) -> None:
    worker = start(eventSchema=EMAIL_SCHEMA)
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


def test_a_parked_key_is_applied_once_its_cause_is_mended(topics: Topics, target: Login, start: Start) -> None:
    worker = start()
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
    told = command(worker, "retry")
    later = Change(key=key(1), version=4)
    topics.send([later])
    wait_drained(worker, 5)

    assert f"{key(2)} stays parked: the value is not JSON" in told
    assert "1 keys applied, 1 still parked" in told
    assert read_rows(target.url) == expected_rows([*changes, later])
    eventually(worker.status, lambda status: status["parkedKeys"] == 1)


def test_while_the_target_is_down_the_worker_says_so_and_then_catches_up(
    topics: Topics, target: Login, start: Start, postgres: PostgresServer
) -> None:
    changes = lives(200, seed=4)
    worker = start()
    worker.wait_ready()
    postgres.kill()
    try:
        said = eventually(worker.readiness, lambda answer: answer.get("status") == "not ready")
        topics.send(changes)
        eventually(worker.status, lambda status: (status["lagRecords"] or 0) > 0)
    finally:
        postgres.start()
    status = wait_drained(worker, len(changes))

    assert f"PostgreSQL {target.username}@{target.host}:{target.port}/{target.database}" in said["problems"][0]
    assert target.password not in str(said)
    assert status["ready"]
    assert read_rows(target.url) == expected_rows(changes)


def test_while_kafka_is_down_the_worker_says_so_and_then_goes_on(
    topics: Topics, target: Login, start: Start, kafka: KafkaBroker
) -> None:
    changes = lives(50, seed=5)
    worker = start()
    worker.wait_ready()
    kafka.kill()
    try:
        said = eventually(worker.readiness, lambda answer: answer.get("status") == "not ready")
    finally:
        kafka.start()
    topics.send(changes)
    wait_drained(worker, len(changes))

    assert f"Kafka at {kafka.bootstrap}" in said["problems"][0]
    assert read_rows(target.url) == expected_rows(changes)
    eventually(worker.readiness, lambda answer: answer.get("status") == "ready")


def test_a_worker_asked_to_stop_finishes_its_batch_and_leaves(topics: Topics, target: Login, start: Start) -> None:
    changes = lives(300, seed=6)
    worker = start()
    worker.wait_ready()
    topics.send(changes)
    wait_drained(worker, len(changes))
    worker.process.ask_to_stop(signal.SIGTERM)
    assert worker.process.wait_for_status(30) == 0

    worker.restart()
    worker.wait_ready()

    assert read_rows(target.url) == expected_rows(changes)
    assert worker.status()["appliedRecords"] == len(changes)


def test_nothing_waits_behind_a_producer_s_transaction(topics: Topics, target: Login, start: Start) -> None:
    worker = start()
    worker.wait_ready()
    changes = [Change(key=key(number), version=1, type=CREATED) for number in range(6)]
    topics.send_in_transaction(changes)
    wait_drained(worker, len(changes))
    worker.kill()
    worker.restart()
    wait_drained(worker, len(changes))

    assert read_rows(target.url) == expected_rows(changes)


def test_nothing_waits_where_all_that_waited_has_left_the_topics(topics: Topics, target: Login, start: Start) -> None:
    worker = start()
    worker.wait_ready()
    changes = [Change(key=key(number), version=1, type=CREATED) for number in range(6)]
    topics.send(changes)
    wait_drained(worker, len(changes))
    worker.kill()
    topics.send([Change(key=key(number), version=2) for number in range(6)])
    topics.empty()
    worker.restart()
    status = wait_drained(worker, len(changes))

    assert "left the topic before they were applied" in status["lastError"]
    assert read_rows(target.url) == expected_rows(changes)


def test_records_that_leave_the_topics_while_the_worker_hangs_are_told(
    topics: Topics, target: Login, start: Start
) -> None:
    worker = start()
    worker.wait_ready()
    topics.send([Change(key=key(number), version=1, type=CREATED) for number in range(30)])
    wait_drained(worker, 30)
    worker.pause()
    topics.send([Change(key=key(number), version=2) for number in range(300)])
    topics.empty()
    worker.go_on()

    eventually(worker.status, lambda status: "left the topic before they were applied" in status["lastError"])
    eventually(worker.status, lambda status: status["lagRecords"] == 0)


def test_what_waits_in_the_topics_does_not_decide_the_worker_s_memory(
    topics: Topics, target: Login, start: Start
) -> None:
    # 400 records of 900 kB, small on the wire; their size is in a field that the copy does not have.
    large = {"remarks": "abcdefghij" * 90_000}
    changes = [Change(key=key(number), version=1, type=CREATED, payload=large) for number in range(400)]
    topics.send(changes)
    worker = start()
    wait_drained(worker, len(changes))

    assert worker.peak_megabytes < 256  # the chart's limit
    assert read_rows(target.url) == expected_rows(changes)


def test_topics_that_do_not_exist_yet_are_waited_for(
    run: Run, kafka: KafkaBroker, target: Login, tmp_path: Path
) -> None:
    replica = replica_object("nowhere")
    worker = Worker(run, replica, database_url=target.url, bootstrap=kafka.bootstrap, folder=tmp_path)
    said = eventually(worker.readiness, lambda answer: bool(answer.get("problems")) and "topic" in str(answer))
    worker.process.kill()

    assert "has no topic nowhere.customer-created" in said["problems"][0]


def test_a_topic_that_is_deleted_is_missed(topics: Topics, start: Start) -> None:
    worker = start()
    worker.wait_ready()
    topics.delete(UPDATED)
    said = eventually(worker.readiness, lambda answer: "has no topic" in str(answer))

    assert f"{topics.prefix}.{UPDATED}" in said["problems"][0]


def test_a_missing_table_is_waited_for(topics: Topics, target: Login, start: Start) -> None:
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute("DROP TABLE invoices.customers")
    worker = start()
    said = eventually(worker.readiness, lambda answer: "does not exist" in str(answer))
    prepare_target(target)
    worker.wait_ready()

    assert "table invoices.customers does not exist" in said["problems"][0]


def test_while_session_after_session_fails_the_worker_says_so_all_the_time_and_keeps_its_lag(
    topics: Topics, target: Login, start: Start, postgres: PostgresServer
) -> None:
    worker = start()
    worker.wait_ready()
    topics.send([Change(key=key(number), version=1, type=CREATED) for number in range(5)])
    wait_drained(worker, 5)
    with psycopg.connect(postgres.admin_url.rpartition("/")[0] + f"/{target.database}", autocommit=True) as connection:
        # Found out only by a batch: a session prepares well and fails at what waits, again and again.
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.next_offset > OLD.next_offset THEN RAISE undefined_function USING MESSAGE = 'refused'; END IF; "
            "RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON invoices.kompensa_replica_offsets "
            "FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
        topics.send([Change(key=key(number), version=2) for number in range(5)])
        eventually(worker.status, lambda status: "refused" in str(status["problems"]) and status["lagRecords"] == 5)
        until = time.monotonic() + 8
        answers = []
        while time.monotonic() < until:
            answers.append(worker.status())
        connection.execute("DROP TRIGGER refuse ON invoices.kompensa_replica_offsets")
    wait_drained(worker, 10)

    assert not any(answer["ready"] for answer in answers)
    assert {answer["lagRecords"] for answer in answers} == {5}
    assert all(answer["lagSeconds"] > 0 for answer in answers)
    assert worker.status()["ready"]


def test_a_replica_that_cannot_be_run_is_refused_at_once(run: Run, target: Login, tmp_path: Path) -> None:
    replica = replica_object("t", onDelete="Forget")
    worker = Worker(run, replica, database_url=target.url, bootstrap="127.0.0.1:1", folder=tmp_path)

    assert worker.process.wait_for_status(30) == 2
    assert "spec.onDelete: 'Forget' is unknown; expected one of SoftDelete, Delete" in worker.process.log.read_text()


def test_the_metrics_tell_records_delay_and_lag(topics: Topics, target: Login, start: Start) -> None:
    worker = start()
    worker.wait_ready()
    topics.send([Change(key=key(1), version=1, type=CREATED)])
    wait_drained(worker, 1)

    metrics = worker.metrics()
    name = f'{{replica="shop/{topics.prefix}-customers"}}'
    assert f"kompensa_replica_records_total{name} 1.0" in metrics
    assert f"kompensa_replica_lag_records{name} 0.0" in metrics
    assert f"kompensa_replica_delay_seconds_count{name} 1.0" in metrics
