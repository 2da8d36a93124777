"""Spans: places in traces, the environment, and their arrival at a receiver of OTLP."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from kompensa_common.tracing import Span, TraceContext, TracingSettingsError, spans_of_environment
from tests.support.otlp_receiver import OtlpReceiver

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "PROTOCOL", "TRACES_ENDPOINT", "TRACES_PROTOCOL"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)


def span(name: str, *, error: str | None = None, sampled: bool = True) -> Span:
    parent = TraceContext.read(PARENT)
    assert parent is not None
    context = TraceContext(parent.trace_id, "1" * 16, sampled)
    attributes = {"http.route": "/orders"}
    return Span(
        name=name,
        kind="server",
        context=context,
        parent=parent,
        began=1.0,
        ended=2.0,
        attributes=attributes,
        error=error,
    )


def test_a_place_is_read_from_a_traceparent_and_written_as_one() -> None:
    place = TraceContext.read(PARENT)
    assert place is not None
    assert place.traceparent == PARENT
    below = TraceContext.below(place)
    assert (below.trace_id, below.sampled) == (place.trace_id, True)
    assert below.span_id != place.span_id
    unsampled = TraceContext.read(PARENT[:-2] + "00")
    assert unsampled is not None
    assert TraceContext.below(unsampled).traceparent.endswith("-00")


@pytest.mark.parametrize("text", [None, "", "x" * 55, PARENT.upper(), PARENT + "-more", "ff" + PARENT[2:]])
def test_another_form_is_not_a_place(text: str | None) -> None:
    assert TraceContext.read(text) is None


def test_without_a_receiver_nothing_is_recorded() -> None:
    assert spans_of_environment("orders") is None


@pytest.mark.parametrize(("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_the_variables_of_opentelemetry_switch_it_off(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv(name, value)
    assert spans_of_environment("orders") is None


@pytest.mark.parametrize("module", ["kompensa_participant.service", "kompensa.api.serve", "kompensa_cdc.main"])
def test_without_a_receiver_the_sdk_is_not_even_imported(module: str) -> None:
    check = (
        f"import sys, {module}; from kompensa_common.tracing import spans_of_environment as s;"
        " assert s('x') is None; heavy = ('opentelemetry.sdk', 'opentelemetry.exporter');"
        " assert not [name for name in sys.modules if name.startswith(heavy)]"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:///run/otel"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setenv(name, value)
    with pytest.raises(TracingSettingsError, match=value):
        spans_of_environment("orders")


@pytest.mark.parametrize("own", [None, "our-orders"])
def test_spans_arrive_at_the_receiver(monkeypatch: pytest.MonkeyPatch, own: str | None) -> None:
    with OtlpReceiver.listening() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        if own:
            monkeypatch.setenv("OTEL_SERVICE_NAME", own)
        spans = spans_of_environment("orders")
        assert spans is not None
        for each in (span("GET /orders"), span("POST /orders", error="500"), span("unsampled", sampled=False)):
            spans.record(each)
        spans.close()
    found, failed = receiver.spans
    assert (found.service, found.name, found.error) == (own or "orders", "GET /orders", "")
    assert (found.trace_id, found.span_id, found.parent) == (PARENT[3:35], "1" * 16, PARENT[36:52])
    assert found.attributes == {"http.route": "/orders"}
    assert (failed.name, failed.error) == ("POST /orders", "500")


def test_a_receiver_that_is_down_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kompensa_common.otlp.CLOSE_SECONDS", 0.5)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        spans = spans_of_environment("orders")
        assert spans is not None
        for number in range(5000):
            spans.record(span(f"span {number}"))
        spans.close()
