"""`kompensa trace`: one timeline from the engine's journal and from Kafka's topics."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from kompensa.cli.main import app
from kompensa_dev.ports import Ports
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
from kompensa_dev.stack import Stack
from tests.integration.engine_processes import EngineProcess, Engines
from tests.integration.registering import customer, declare, start_orders
from tests.support.engine_world import NAMESPACE
from tests.support.http import call
from tests.support.waiting import eventually

RUNNER = CliRunner()
EVENTS = {"customer-created", "payment-methods-changed"}
"""The events of orders about a new customer, in one transaction."""


@dataclass(frozen=True)
class Traced:
    """A saga that has registered a customer, whose event has reached Kafka."""

    engine: EngineProcess
    kafka: str
    saga: str

    def trace(self, *arguments: str, status: int = 0) -> str:
        connection = ["--api", self.engine.url, "--kafka", self.kafka]
        result = RUNNER.invoke(app, ["trace", *arguments, *connection])
        assert result.exit_code == status, result.output
        return result.output

    def timeline(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.trace(self.saga, "-o", "json", *arguments))
        return found

    def events(self, *arguments: str) -> list[dict[str, Any]]:
        return [entry for entry in self.timeline(*arguments)["entries"] if "record" in entry]


@pytest.fixture(scope="module")
def traced(stack: Stack, run: Run, ports: Ports, postgres: PostgresServer) -> Iterator[Traced]:
    journal = postgres.create_database(f"journal_{secrets.token_hex(4)}")
    engines = Engines(run, ports, journal.url)
    orders, url = start_orders(stack, "orders-of-timeline")
    engine = engines.start("timeline")
    declare(engine, url)
    body = {"definition": "register", "input": customer()}
    saga = call("POST", f"{engine.url}/v1/namespaces/{NAMESPACE}/sagas", body).ok()["id"]
    assert engine.until_ended([saga]) == {saga: "Succeeded"}
    assert stack.kafka is not None
    found = Traced(engine, stack.kafka.bootstrap, saga)
    eventually(lambda: len(found.events()) == len(EVENTS), f"{EVENTS} to reach Kafka")
    yield found
    engines.close()
    orders.stop()


def test_calls_and_events_are_in_the_order_in_which_they_happened(traced: Traced) -> None:
    found = traced.timeline()
    assert (found["definition"], found["phase"]) == ("register", "Succeeded")
    happened = [(entry["service"], entry["event"]) for entry in found["entries"]]
    assert happened[:2] == [("engine", "SagaAccepted"), ("engine", "StepStarted")]
    assert set(happened[2:4]) == {("orders", event) for event in EVENTS}
    assert happened[4:] == [("engine", "StepSucceeded"), ("engine", "SagaSucceeded")]


def test_an_event_names_the_call_that_caused_it_and_its_place_in_kafka(traced: Traced) -> None:
    events = traced.events()
    assert {event["causedBy"] for event in events} == {"register action 1"}
    assert {event["record"]["topic"] for event in events} == {f"orders.{event}" for event in EVENTS}
    assert len({uuid.UUID(event["record"]["key"]) for event in events}) == 1


def test_a_saga_that_the_engine_does_not_know_is_found_in_the_topics(traced: Traced, engines: Engines) -> None:
    other = engines.start("other")  # an engine with a journal of its own
    text = RUNNER.invoke(app, ["trace", traced.saga, "--api", other.url, "--kafka", traced.kafka]).output
    assert "customer-created" in text
    assert "SagaAccepted" not in text


def test_nothing_is_read_outside_of_the_time_in_which_the_events_came(traced: Traced) -> None:
    assert traced.events("--no-topics") == []
    assert "--since" in traced.trace(str(uuid.uuid4()), "--since", "1ms", status=2)


def test_a_diagram_shows_the_engine_and_the_participant(traced: Traced) -> None:
    lines = traced.trace(traced.saga, "-o", "mermaid").splitlines()
    assert lines[0] == "sequenceDiagram"
    assert {"    participant p0 as engine", "    participant p1 as orders"} <= set(lines)
    assert "    p0->>p1: register action 1" in lines


def test_a_broker_that_does_not_answer_is_named(traced: Traced) -> None:
    result = RUNNER.invoke(app, ["trace", traced.saga, "--api", traced.engine.url, "--kafka", "127.0.0.1:9"])
    assert result.exit_code == 3
    assert "127.0.0.1:9" in result.output
