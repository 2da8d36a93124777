"""A worker while PostgreSQL, Kafka, a topic or a table is missing: it reports that, and catches up afterwards."""

import time
from pathlib import Path

import psycopg

from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run

from .copies import (
    CREATED,
    UPDATED,
    Change,
    Topics,
    Worker,
    eventually,
    expected_rows,
    prepare_target,
    read_rows,
    replica_object,
)
from .worker_desk import StartWorker, key, lives, wait_drained


def test_the_worker_reports_that_the_target_is_down_and_then_catches_up(
    topics: Topics, target: Login, start_worker: StartWorker, postgres: PostgresServer
) -> None:
    changes = lives(200, seed=4)
    worker = start_worker()
    worker.wait_ready()
    postgres.kill()
    try:
        shown = eventually(worker.readiness, lambda answer: answer.get("status") == "not ready")
        topics.send(changes)
        eventually(worker.status, lambda status: (status["lagRecords"] or 0) > 0)
    finally:
        postgres.start()
    status = wait_drained(worker, len(changes))

    assert f"PostgreSQL {target.username}@{target.host}:{target.port}/{target.database}" in shown["problems"][0]
    assert target.password not in str(shown)
    assert status["ready"]
    assert read_rows(target.url) == expected_rows(changes)


def test_the_worker_reports_that_kafka_is_down_and_then_goes_on(
    topics: Topics, target: Login, start_worker: StartWorker, kafka: KafkaBroker
) -> None:
    changes = lives(50, seed=5)
    worker = start_worker()
    worker.wait_ready()
    kafka.kill()
    try:
        shown = eventually(worker.readiness, lambda answer: answer.get("status") == "not ready")
    finally:
        kafka.start()
    topics.send(changes)
    wait_drained(worker, len(changes))

    assert f"Kafka at {kafka.bootstrap}" in shown["problems"][0]
    assert read_rows(target.url) == expected_rows(changes)
    eventually(worker.readiness, lambda answer: answer.get("status") == "ready")


def test_the_lag_is_zero_after_all_waiting_records_have_left_the_topics(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    worker = start_worker()
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


def test_records_that_leave_the_topics_while_the_worker_hangs_are_reported(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    worker = start_worker()
    worker.wait_ready()
    topics.send([Change(key=key(number), version=1, type=CREATED) for number in range(30)])
    wait_drained(worker, 30)
    worker.pause()
    topics.send([Change(key=key(number), version=2) for number in range(300)])
    topics.empty()
    worker.go_on()

    eventually(worker.status, lambda status: "left the topic before they were applied" in status["lastError"])
    eventually(worker.status, lambda status: status["lagRecords"] == 0)


def test_a_worker_waits_for_topics_that_do_not_exist_yet(
    run: Run, kafka: KafkaBroker, target: Login, tmp_path: Path
) -> None:
    replica = replica_object("nowhere")
    worker = Worker(run, replica, database_url=target.url, bootstrap=kafka.bootstrap, folder=tmp_path)
    shown = eventually(worker.readiness, lambda answer: bool(answer.get("problems")) and "topic" in str(answer))
    worker.process.kill()

    assert "has no topic nowhere.customer-created" in shown["problems"][0]


def test_a_deleted_topic_is_reported(topics: Topics, start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.wait_ready()
    topics.delete(UPDATED)
    shown = eventually(worker.readiness, lambda answer: "has no topic" in str(answer))

    assert f"{topics.prefix}.{UPDATED}" in shown["problems"][0]


def test_a_worker_waits_for_a_missing_table(topics: Topics, target: Login, start_worker: StartWorker) -> None:
    with psycopg.connect(target.url, autocommit=True) as connection:
        connection.execute("DROP TABLE invoices.customers")
    worker = start_worker()
    shown = eventually(worker.readiness, lambda answer: "does not exist" in str(answer))
    prepare_target(target)
    worker.wait_ready()

    assert "table invoices.customers does not exist" in shown["problems"][0]


def test_failing_sessions_keep_the_worker_from_being_ready_and_keep_its_lag(
    topics: Topics, target: Login, start_worker: StartWorker, postgres: PostgresServer
) -> None:
    worker = start_worker()
    worker.wait_ready()
    topics.send([Change(key=key(number), version=1, type=CREATED) for number in range(5)])
    wait_drained(worker, 5)
    with psycopg.connect(postgres.admin_url.rpartition("/")[0] + f"/{target.database}", autocommit=True) as connection:
        # Each session starts well and fails at its first batch.
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
