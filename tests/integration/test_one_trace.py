"""One trace of a saga: its start over HTTP, the engine, a participant, its outbox, Kafka, and the copy of the event."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from kompensa.manifests.documents import of_kind
from kompensa_dev.replicas import start_replica
from kompensa_dev.stack import Stack
from tests.integration.engine_processes import EngineProcess, Engines
from tests.integration.registering import customer, declare, start_orders
from tests.support.engine_world import NAMESPACE
from tests.support.http import call
from tests.support.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.support.waiting import eventually

CALLER = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-01"
START, COPY = "POST /v1/namespaces/{namespace}/sagas", "orders.customer-created to invoices.customers"


@dataclass(frozen=True)
class Traced:
    """An engine, the service orders and a replica's worker that send their spans."""

    engine: EngineProcess
    receiver: OtlpReceiver


@pytest.fixture
def traced(stack: Stack, engines: Engines, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """Further processes on the stack's databases, Kafka and Connect: those of the stack send no spans."""
    with OtlpReceiver.listening() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        orders, url = start_orders(stack, "orders-traced")
        engine = engines.start("one")
        declare(engine, url)
        assert stack.kafka is not None
        (copies,) = [each for each in of_kind(stack.documents, "Replica") if each.name == "invoices-customers"]
        worker = start_replica(stack.run, replace(copies, name="invoices-traced"), stack.logins, stack.kafka)
        yield Traced(engine, receiver)
        worker.process.stop()
        orders.stop()


def trace_of(traced: Traced, body: dict[str, Any]) -> dict[str, ReceivedSpan]:
    """The spans of the saga that this request starts, once the customer is copied."""
    url = f"{traced.engine.url}/v1/namespaces/{NAMESPACE}/sagas"
    saga = call("POST", url, body, headers={"traceparent": CALLER}).ok()["id"]
    assert traced.engine.until_ended([saga]) == {saga: "Succeeded"}
    trace = uuid.UUID(saga).hex
    wanted = {START, "register action", "POST /customers", COPY, "saga register"}
    eventually(lambda: wanted <= traced.receiver.of_trace(trace).keys(), f"the spans {wanted} to arrive")
    return traced.receiver.of_trace(trace)


def test_one_trace_runs_from_the_start_to_the_copy(traced: Traced) -> None:
    spans = trace_of(traced, {"definition": "register", "input": customer()})
    root = spans["saga register"]
    assert root.parent == ""
    assert spans[START].parent == root.span_id
    assert spans[START].links == (CALLER.split("-")[1],)
    assert spans["register action"].parent == root.span_id
    assert spans["POST /customers"].parent == spans["register action"].span_id
    assert spans[COPY].parent == spans["POST /customers"].span_id
    services = {span.service for span in spans.values()}
    assert services == {"kompensa-engine", "orders", "kompensa-replica"}
    assert not [span.error for span in spans.values() if span.error]
