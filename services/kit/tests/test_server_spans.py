"""A request's span: below its caller's, above the events that it publishes, and none for probes."""

from __future__ import annotations

import httpx
import pytest
from fastapi import APIRouter

from kompensa_common.tracing import TraceContext
from kompensa_participant import ENGINE, Allow, Problem, Service, context
from kompensa_participant.settings import Settings
from tests.support.otlp_receiver import KeptSpans

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
router = APIRouter()
seen: list[context.RequestContext] = []


@router.get("/things/{thing}")
async def thing(thing: int) -> int:
    seen.append(context.current())
    if thing == 404:
        raise Problem(404, "unknown-thing", "there is no such thing")
    return 1 // thing


@pytest.fixture
def spans() -> KeptSpans:
    seen.clear()
    return KeptSpans()


async def ask(spans: KeptSpans, path: str, **headers: str) -> None:
    access = [Allow(ENGINE, routes=["GET /things/{thing}"])]
    app = Service(name="orders", title="Things", routers=[router], access=access).app(
        Settings(database_url="postgresql://nowhere"), spans
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        await client.get(path, headers=headers)


async def test_a_request_is_a_span_below_its_callers_and_above_its_events(spans: KeptSpans) -> None:
    await ask(spans, "/things/1", traceparent=PARENT, **{"Saga-Id": "a-saga", "Saga-Step": "a-step"})
    (span,) = spans.spans
    assert (span.name, span.kind, span.error) == ("GET /things/{thing}", "server", None)
    assert span.parent == TraceContext.read(PARENT)
    assert span.context.trace_id == PARENT[3:35]
    assert [each.traceparent for each in seen] == [span.context.traceparent]
    assert span.began <= span.ended
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/things/{thing}",
        "http.response.status_code": 200,
        "kompensa.saga.id": "a-saga",
        "kompensa.saga.step": "a-step",
    }


@pytest.mark.parametrize("headers", [{}, {"traceparent": "not-one"}])
async def test_a_request_without_a_trace_begins_one(spans: KeptSpans, headers: dict[str, str]) -> None:
    await ask(spans, "/things/1", **headers)
    (span,) = spans.spans
    assert span.parent is None
    assert [each.traceparent for each in seen] == [span.context.traceparent]


@pytest.mark.parametrize(("path", "error"), [("/things/404", None), ("/things/0", "500"), ("/no-such-path", None)])
async def test_only_a_fault_of_the_service_is_an_error(spans: KeptSpans, path: str, error: str | None) -> None:
    await ask(spans, path)
    assert [span.error for span in spans.spans] == [error]


async def test_probes_have_no_span(spans: KeptSpans) -> None:
    await ask(spans, "/healthz", traceparent=PARENT)
    assert spans.spans == []
