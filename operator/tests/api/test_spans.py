"""The spans of a saga that is started over HTTP: one trace with the saga at its top."""

from kompensa.transport.http import traceparent
from kompensa.transport.traces import attempt_context, saga_context
from kompensa_common.tracing import Span, TraceContext
from tests.support.api_client import Api
from tests.support.otlp_receiver import KeptSpans
from tests.support.scripted_transport import NO_ANSWER, REFUSED, WRONG

SAGA = "0b8a3c5e-0000-4000-8000-000000000001"
CALLER = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
START = "POST /v1/namespaces/{namespace}/sagas"


def by_name(spans: KeptSpans) -> dict[str, Span]:
    assert len({span.context.span_id for span in spans.spans}) == len(spans.spans)
    return {span.name: span for span in spans.spans}


def test_the_place_of_an_attempt_is_the_one_that_its_participant_sees() -> None:
    assert attempt_context(SAGA, "key", 2).traceparent == traceparent(SAGA, "key", 2)


async def test_a_saga_is_one_trace_from_its_start_to_its_end(api: Api, spans: KeptSpans) -> None:
    api.client.headers["traceparent"] = CALLER.traceparent
    saga = (await api.start(wait="5s")).json()["id"]
    found = by_name(spans)
    assert found.keys() == {START, "reserve action", "pay action", "saga order"}
    root = found.pop("saga order")
    assert (root.context, root.parent, root.error) == (saga_context(saga), None, None)
    assert root.attributes["kompensa.saga.phase"] == "Succeeded"
    assert {span.parent for span in found.values()} == {root.context}
    assert {span.context.trace_id for span in found.values()} == {saga.replace("-", "")}
    assert found["pay action"].context == attempt_context(saga, f"{saga}/pay/action", 1)
    assert found[START].link == CALLER


async def test_a_failed_saga_shows_its_reason_and_each_attempt(api: Api, spans: KeptSpans) -> None:
    api.world.transport.answer("action pay", NO_ANSWER, REFUSED)
    await api.start(wait="20s")
    found = by_name(KeptSpans([span for span in spans.spans if span.name != "pay action"]))
    attempts = [span for span in spans.spans if span.name == "pay action"]
    assert [span.attributes["kompensa.attempt"] for span in attempts] == [1, 2]
    assert all(span.error for span in attempts)
    assert found["saga order"].error
    assert found["reserve compensation"].error is None


async def test_a_parked_saga_has_not_ended(api: Api, spans: KeptSpans) -> None:
    api.world.transport.answer("action pay", WRONG)
    assert (await api.start(wait="5s")).json()["phase"] == "InterventionRequired"
    assert "saga order" not in by_name(spans)


async def test_a_start_that_is_rejected_stays_in_its_callers_trace(api: Api, spans: KeptSpans) -> None:
    api.client.headers["traceparent"] = CALLER.traceparent
    assert (await api.start(definition="none")).status_code >= 400
    (span,) = spans.spans
    assert (span.name, span.parent, span.link) == (START, CALLER, None)


async def test_other_requests_have_no_span(api: Api, spans: KeptSpans) -> None:
    await api.get("/v1/sagas")
    await api.get("/healthz")
    assert spans.spans == []
