"""The span of an event that was brought into a copy: below the request that published the event."""

from kompensa_cdc.replicas.applied import Applied
from kompensa_cdc.replicas.changes import Change
from kompensa_cdc.replicas.consumer_spans import record_batch
from kompensa_common.tracing import Span, TraceContext
from kompensa_consumer import Batch, Event, Poison, decode
from tests.support.otlp_receiver import KeptSpans
from tests.support.records import FakeRecord, with_headers

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def event(offset: int, traceparent: str | None = TRACE) -> Event:
    headers = with_headers(traceparent=traceparent.encode() if traceparent else None)
    found = decode(FakeRecord(headers_=headers, offset_=offset))
    assert isinstance(found, Event)
    return found


def recorded(*items: Event | Poison, parked: tuple[Poison, ...] = ()) -> list[Span]:
    batch = Batch(tuple(Change(item, None) if isinstance(item, Event) else item for item in items), ())
    applied = Applied(records=len(items), written=1, parked=parked, superseded=())
    spans = KeptSpans()
    record_batch(spans, batch, applied, replica="shop/copies", table="invoices.customers", began=1.0, ended=2.0)
    return spans.spans


def test_each_event_is_a_span_below_its_publisher() -> None:
    spans = recorded(event(42), event(43))
    assert {span.parent for span in spans} == {TraceContext.read(TRACE)}
    assert {span.context.trace_id for span in spans} == {TRACE[3:35]}
    assert len({span.context.span_id for span in spans}) == 2
    span = spans[0]
    assert (span.name, span.kind, span.error) == ("orders.customer-created to invoices.customers", "consumer", None)
    assert (span.attributes["messaging.kafka.offset"], span.attributes["kompensa.replica"]) == (42, "shop/copies")


def test_an_event_without_a_trace_has_no_span() -> None:
    assert recorded(event(42, None), event(43, "of another form")) == []


def test_a_parked_event_is_an_error() -> None:
    bad = event(42)
    place = {"topic": bad.topic, "partition": bad.partition, "offset": bad.offset}
    parked = Poison(**place, key=bad.key, headers={}, value=None, error="does not fit")  # type: ignore[arg-type]
    assert [span.error for span in recorded(bad, event(43), parked=(parked,))] == ["parked", None]
