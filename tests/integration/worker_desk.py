"""Workers as processes: fixtures and steps of the tests of a replica's worker."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login
from kompensa_dev.run import Run

from .copies import CREATED, DELETED, Change, Topics, Worker, eventually, replica_object

StartWorker = Callable[..., Worker]


@pytest.fixture
def topics(kafka: KafkaBroker) -> Topics:
    """Topics of customers, under a prefix of their own."""
    return Topics(kafka.bootstrap)


@pytest.fixture
def start_worker(run: Run, kafka: KafkaBroker, topics: Topics, target: Login, tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker for the topics' Replica; arguments replace parts of its spec."""
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
