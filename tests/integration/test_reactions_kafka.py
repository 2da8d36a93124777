"""Reactions as users run them: processes of a service between a real Kafka and a real PostgreSQL that both may fail."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # declares no re-exports

from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from tests.support.http import Answer, call
from tests.support.waiting import eventually

from .reaction_desk import PARTICIPANTS, Note, numbers, prepare, rows

PARTITIONS = 3
_serial = itertools.count(1)


class Topics:
    """The reactor's three topics under a fresh prefix, and a producer for them."""

    def __init__(self, bootstrap: str) -> None:
        self.prefix = f"r{os.getpid()}x{next(_serial)}"
        self.ordered, self.second, self.unordered = (
            f"{self.prefix}.{name}" for name in ("ordered", "second", "unordered")
        )
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1})
        self.create(self.ordered, self.unordered)

    def create(self, *names: str) -> None:
        for future in self._admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
            future.result(30)

    def send(self, notes: Sequence[Note]) -> None:
        for note in notes:
            self._producer.produce(note.topic, key=note.key, value=note.body, headers=note.record_headers())
        assert self._producer.flush(60) == 0

    def notes(self, keys: int, each: int) -> list[Note]:
        """Events 1, 2, 3 and so on of each key, the keys mixed."""
        return [
            Note(key=f"key-{key}", number=number, topic=self.ordered)
            for number in range(1, each + 1)
            for key in range(keys)
        ]


class Reactor:
    """`python3 -m reactor serve` as a process of its own."""

    def __init__(self, run: Run, login: Login, *, bootstrap: str, topics: Topics) -> None:
        self._run = run
        self.url = f"http://{HOST}:{Ports().take('reactor')}"
        self.environment = {
            "DATABASE_URL": login.url,
            "HOST": HOST,
            "PORT": self.url.rpartition(":")[2],
            "KOMPENSA_KAFKA": bootstrap,
            "REACTIONS_GROUP": topics.prefix,
            "TOPICS": topics.prefix,
            "PYTHONPATH": str(PARTICIPANTS),
        }
        self.process: Process = self._started()

    def _started(self) -> Process:
        argv = [sys.executable, "-m", "reactor", "serve"]
        name = f"reactor-{self.url.rpartition(':')[2]}"
        return self._run.start(Program(name=name, argv=argv, environment=self.environment))

    def restart(self) -> None:
        self.process = self._started()

    def get(self, path: str) -> Answer:
        return call("GET", f"{self.url}{path}")

    def status(self) -> dict[str, Any]:
        """/reactions, or nothing while it does not answer."""
        try:
            return dict(self.get("/reactions").body)
        except OSError:
            return {}

    def wait_reading(self, partitions: int | None = None) -> None:
        """Until it holds partitions: some, or just so many."""
        eventually(
            self.status,
            "the reactor to read",
            is_right=lambda status: (
                len(held := status.get("partitions", ())) > 0 and (partitions is None or len(held) == partitions)
            ),
        )

    def command(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "reactor", "events", *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stdout + done.stderr


Start = Callable[[], Reactor]


@pytest.fixture
def topics(kafka: KafkaBroker) -> Topics:
    return Topics(kafka.bootstrap)


@pytest.fixture
def start(run: Run, kafka: KafkaBroker, topics: Topics, database: Login) -> Iterator[Start]:
    """Start a process of the reactor."""
    prepare(database)
    started: list[Reactor] = []

    def one() -> Reactor:
        reactor = Reactor(run, database, bootstrap=kafka.bootstrap, topics=topics)
        started.append(reactor)
        return reactor

    yield one
    for reactor in started:
        reactor.process.kill()


def effects(login: Login) -> list[tuple[str, int]]:
    return [(row["key"], row["number"]) for row in rows(login, "SELECT key, number FROM effects ORDER BY position")]


def wait_effects(login: Login, count: int) -> list[tuple[str, int]]:
    return eventually(lambda: effects(login), f"{count} effects", is_right=lambda found: len(found) >= count)


def assert_each_once_and_in_order(login: Login, notes: Sequence[Note]) -> None:
    found = effects(login)
    assert len(found) == len(notes)
    for key in {note.key for note in notes}:
        assert numbers(found, key) == [note.number for note in notes if note.key == key]
    published = rows(login, "SELECT aggregate_id FROM outbox")
    assert {row["aggregate_id"] for row in published} == {note.id for note in notes}


def test_each_event_has_its_effect_once_and_in_order_however_often_the_process_is_killed(
    topics: Topics, database: Login, start: Start
) -> None:
    notes = topics.notes(keys=20, each=15)
    reactor = start()
    reactor.wait_reading()
    for part in range(3):
        topics.send(notes[part * 100 : (part + 1) * 100])
        wait_effects(database, part * 100 + 1)
        reactor.process.kill()
        reactor.restart()
    wait_effects(database, len(notes))
    assert_each_once_and_in_order(database, notes)


def test_a_rebalance_repeats_nothing_and_keeps_the_order(topics: Topics, database: Login, start: Start) -> None:
    notes = topics.notes(keys=20, each=20)
    first = start()
    first.wait_reading(2 * PARTITIONS)
    topics.send(notes[:200])
    wait_effects(database, 1)
    second = start()
    second.wait_reading()
    topics.send(notes[200:300])
    wait_effects(database, 201)
    first.process.stop()
    topics.send(notes[300:])
    wait_effects(database, len(notes))
    second.wait_reading(2 * PARTITIONS)
    assert_each_once_and_in_order(database, notes)


def test_events_that_were_published_twice_have_one_effect(topics: Topics, database: Login, start: Start) -> None:
    notes = topics.notes(keys=5, each=4)
    start().wait_reading()
    topics.send(notes)
    topics.send(notes)
    topics.send([replace(notes[0], topic=topics.unordered)])
    last = Note(key="key-0", number=5, topic=topics.ordered)
    topics.send([last])
    wait_effects(database, len(notes) + 1)
    eventually(
        lambda: rows(database, "SELECT sum(applied) FROM reaction_offsets")[0]["sum"],
        "all records to be read",
        is_right=lambda applied: applied == 2 * len(notes) + 2,
    )
    assert_each_once_and_in_order(database, [*notes, last])


def test_a_broker_that_is_killed_costs_nothing_but_time(
    topics: Topics, database: Login, start: Start, kafka: KafkaBroker
) -> None:
    notes = topics.notes(keys=10, each=10)
    start().wait_reading()
    topics.send(notes[:50])
    wait_effects(database, 1)
    kafka.kill()
    kafka.start()
    topics.send(notes[50:])
    wait_effects(database, len(notes))
    assert_each_once_and_in_order(database, notes)


def test_a_database_that_is_killed_costs_nothing_but_time(
    topics: Topics, database: Login, start: Start, postgres: PostgresServer
) -> None:
    notes = topics.notes(keys=10, each=10)
    reactor = start()
    reactor.wait_reading()
    topics.send(notes[:50])
    wait_effects(database, 1)
    postgres.kill()
    eventually(reactor.status, "the trouble to be reported", is_right=lambda status: bool(status.get("problems")))
    postgres.start()
    topics.send(notes[50:])
    wait_effects(database, len(notes))
    assert_each_once_and_in_order(database, notes)
    assert rows(database, "SELECT * FROM inbox WHERE state <> 'Handled'") == []


def test_a_parked_event_is_seen_everywhere_and_a_person_retries_it(
    topics: Topics, database: Login, start: Start
) -> None:
    reactor = start()
    reactor.wait_reading()
    bad, later = (Note(key="a", number=number, topic=topics.ordered) for number in (1, 2))
    execute(database, "INSERT INTO faults VALUES ('a', 'raise')")
    topics.send([bad, later, Note(key="b", topic=topics.ordered)])
    eventually(
        reactor.status, "the event to be parked", is_right=lambda status: status.get("waiting", {}).get("Parked") == 1
    )

    assert effects(database) == [("b", 1)]
    (parked,) = reactor.get("/reactions/events?state=Parked").ok()["events"]
    assert (parked["eventId"], parked["attempts"], parked["key"]) == (str(bad.id), 3, "a")
    assert "the handler is broken" in parked["error"]
    assert "the handler is broken" in reactor.status()["lastError"]
    assert 'kompensa_reactions_waiting{state="Parked"} 1.0' in reactor.get("/metrics").body
    assert reactor.get(f"/reactions/events/{later.id}").ok()["state"] == "Held"
    assert reactor.get(f"/reactions/events/{uuid.uuid4()}").status == 404
    assert f'"event_id": "{bad.id}"' in reactor.process.log.read_text()
    assert str(bad.id) in reactor.command("list")
    assert "RuntimeError" in reactor.command("show", str(bad.id))

    execute(database, "DELETE FROM faults")
    assert "not Parked" in reactor.command("retry", str(later.id), status=1)
    reactor.command("retry", str(bad.id))
    wait_effects(database, 3)
    assert numbers(effects(database), "a") == [1, 2]
    assert "no event waits" in reactor.command("list")


def test_a_parked_event_is_discarded_by_a_person(topics: Topics, database: Login, start: Start) -> None:
    reactor = start()
    reactor.wait_reading()
    bad, later = (
        Note(key="a", number=number, topic=topics.ordered, value=value) for number, value in ((1, b"{"), (2, None))
    )
    topics.send([bad, later])
    eventually(reactor.status, "both to wait", is_right=lambda status: status.get("waiting", {}).get("Held") == 1)
    reactor.command("discard", str(bad.id), "--reason", "sent by mistake")
    assert wait_effects(database, 1) == [("a", 2)]
    assert "give an event" in reactor.command("retry", status=1)
    assert "has not arrived" in reactor.command("discard", str(uuid.uuid4()), "--reason", "none", status=1)


def test_a_topic_that_is_missing_stops_no_other_and_is_read_once_it_is_there(
    topics: Topics, database: Login, start: Start
) -> None:
    reactor = start()
    reactor.wait_reading()
    assert topics.second in str(reactor.status()["problems"])
    topics.send([Note(key="a", number=1, topic=topics.ordered)])
    wait_effects(database, 1)
    topics.create(topics.second)
    topics.send([Note(key="a", number=2, topic=topics.second)])
    assert wait_effects(database, 2) == [("a", 1), ("a", 2)]
    eventually(reactor.status, "the problem to be over", is_right=lambda status: status.get("problems") == [])


def test_a_service_without_kafka_serves_and_says_that_it_does_not_react(
    topics: Topics, database: Login, start: Start
) -> None:
    reactor = start()
    reactor.process.kill()
    reactor.environment["KOMPENSA_KAFKA"] = ""
    reactor.restart()
    status = eventually(reactor.status, "an answer")
    assert not status["ready"]
    assert "KOMPENSA_KAFKA" in str(status["problems"])
    assert reactor.get("/healthz").status == 200


def execute(login: Login, statement: str) -> None:
    rows(login, f"{statement} RETURNING 1")
