"""The worker as users run it: a process between a real Kafka and a real PostgreSQL, killed, paused and rewound."""

import signal
from pathlib import Path

from kompensa_dev.postgres import Login
from kompensa_dev.run import Run

from .copies import (
    CREATED,
    Change,
    Topics,
    Worker,
    eventually,
    expected_rows,
    query,
    read_rows,
    replica_object,
)
from .worker_desk import StartWorker, command, key, lives, wait_applied, wait_drained


def test_a_worker_that_is_killed_repeatedly_writes_the_exact_copy(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    changes = lives(4000, seed=1)
    quarter = len(changes) // 4
    worker = start_worker(batch={"maxRecords": 200, "maxWait": "10ms"})
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


def test_a_paused_worker_that_lost_its_claim_starts_again_and_repeats_nothing(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    changes = lives(500, seed=2)
    worker = start_worker()
    worker.wait_ready()
    topics.send(changes[:300])
    wait_drained(worker, 300)

    worker.pause()
    topics.send(changes[300:])
    command(worker, "rewind")
    worker.go_on()

    eventually(lambda: read_rows(target.url), lambda rows: rows == expected_rows(changes))
    status = wait_drained(worker, len(changes))
    assert status["appliedRecords"] == len(changes)
    assert status["ready"]


def test_reading_again_from_the_beginning_changes_nothing(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    changes = lives(300, seed=3)
    worker = start_worker()
    worker.wait_ready()
    topics.send(changes)
    wait_drained(worker, len(changes))
    eventually(worker.status, lambda status: status["lagRecords"] == 0)
    everything = "SELECT * FROM invoices.customers ORDER BY orders_customer_id"
    before = query(target.url, everything)

    read = "SELECT sum(applied) FROM invoices.kompensa_replica_offsets"
    epochs = "SELECT epoch FROM invoices.kompensa_replica_offsets ORDER BY topic, partition"
    old = query(target.url, epochs)
    assert "9 partitions set back to the beginning" in command(worker, "rewind")
    eventually(lambda: query(target.url, read), lambda rows: rows == [{"sum": len(changes)}])
    assert all(now["epoch"] > then["epoch"] for now, then in zip(query(target.url, epochs), old, strict=True))
    wait_drained(worker, len(changes))

    # No row was touched: even local id and synced_at are the same.
    assert query(target.url, everything) == before


def test_a_worker_asked_to_stop_finishes_its_batch_and_leaves(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    changes = lives(300, seed=6)
    worker = start_worker()
    worker.wait_ready()
    topics.send(changes)
    wait_drained(worker, len(changes))
    worker.process.ask_to_stop(signal.SIGTERM)
    assert worker.process.wait_for_status(30) == 0

    worker.restart()
    worker.wait_ready()

    assert read_rows(target.url) == expected_rows(changes)
    assert worker.status()["appliedRecords"] == len(changes)


def test_nothing_waits_behind_a_producer_s_transaction(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    worker = start_worker()
    worker.wait_ready()
    changes = [Change(key=key(number), version=1, type=CREATED) for number in range(6)]
    topics.send_in_transaction(changes)
    wait_drained(worker, len(changes))
    worker.kill()
    worker.restart()
    wait_drained(worker, len(changes))

    assert read_rows(target.url) == expected_rows(changes)


def test_a_long_backlog_does_not_fill_the_workers_memory(
    topics: Topics, target: Login, start_worker: StartWorker
) -> None:
    # 400 records of 900 kB, small on the wire; their size is in a field that the copy does not have.
    large = {"remarks": "abcdefghij" * 90_000}
    changes = [Change(key=key(number), version=1, type=CREATED, payload=large) for number in range(400)]
    topics.send(changes)
    worker = start_worker()
    wait_drained(worker, len(changes))

    assert worker.peak_megabytes < 256  # the chart's limit
    assert read_rows(target.url) == expected_rows(changes)


def test_an_invalid_replica_is_rejected_at_once(run: Run, target: Login, tmp_path: Path) -> None:
    replica = replica_object("t", onDelete="Forget")
    worker = Worker(run, replica, database_url=target.url, bootstrap="127.0.0.1:1", folder=tmp_path)

    assert worker.process.wait_for_status(30) == 2
    assert "spec.onDelete: 'Forget' is unknown; expected one of SoftDelete, Delete" in worker.process.log.read_text()


def test_the_metrics_show_records_delay_and_lag(topics: Topics, target: Login, start_worker: StartWorker) -> None:
    worker = start_worker()
    worker.wait_ready()
    topics.send([Change(key=key(1), version=1, type=CREATED)])
    wait_drained(worker, 1)

    metrics = worker.metrics()
    name = f'{{replica="shop/{topics.prefix}-customers"}}'
    assert f"kompensa_replica_records_total{name} 1.0" in metrics
    assert f"kompensa_replica_lag_records{name} 0.0" in metrics
    assert f"kompensa_replica_delay_seconds_count{name} 1.0" in metrics
