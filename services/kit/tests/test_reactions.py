"""Reactions as they are declared, and what a record becomes before its handler sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from kompensa_common.tracing import TraceContext, context_of_event
from kompensa_participant import Message, Reactions, ReceivedEvent, Refused, UnfitEventError
from kompensa_participant.context import current, handling
from kompensa_participant.reactions.arrival import arrival_of
from kompensa_participant.reactions.failure import failure_of
from kompensa_participant.reactions.spans import span_of
from tests.support.records import FakeRecord, with_headers

TOPIC = "orders.customer-created"
ID = "6f1c2a5e-7d0b-4e7e-9a53-0a4b3f1d2c11"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def handler(tx: AsyncConnection[Any], event: ReceivedEvent) -> None:
    """Do nothing."""


def declared(**options: Any) -> Reactions:
    reactions = Reactions()
    reactions.on(TOPIC, **options)(handler)
    return reactions


def record(**headers: bytes | None) -> FakeRecord:
    return FakeRecord(headers_=with_headers(**{"id": ID.encode(), **headers}))


def test_a_topic_has_one_handler() -> None:
    reactions = declared()
    with pytest.raises(ValueError, match=f"{TOPIC}.*handler"):
        reactions.on(TOPIC)
    with pytest.raises(ValueError, match=TOPIC):
        reactions.include(declared())


def test_parts_of_a_service_declare_their_reactions_apart() -> None:
    others = Reactions()
    others.on("payments.payment-declined")(handler)
    reactions = declared()
    reactions.include(others)
    assert reactions.topics == (TOPIC, "payments.payment-declined")


def test_an_installation_with_a_prefix_reads_topics_of_its_own() -> None:
    reactions = declared().prefixed("staging.")
    assert reactions.topics == (f"staging.{TOPIC}",)
    read = arrival_of(replace(record(), topic_=f"staging.{TOPIC}"), reactions)
    assert (read.fault, read.event is not None) == (None, True)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"topic": "not a topic"}, "not a topic"),
        ({"topic": ""}, "topic"),
        ({"attempts": 0}, "attempts"),
        ({"first_pause": 0}, "first_pause"),
        ({"first_pause": 2, "longest_pause": 1}, "first_pause"),
        ({"time_limit": 61}, "time_limit"),
        ({"major": "1.0"}, "major"),
    ],
)
def test_a_declaration_that_cannot_hold_is_rejected(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Reactions().on(**{"topic": TOPIC, **options})


@pytest.mark.parametrize(("version", "is_read"), [("1.0", True), ("1.7", True), ("2.0", False), ("10.0", False)])
def test_a_handler_reads_every_minor_version_of_its_major(version: str, is_read: bool) -> None:
    arrival = arrival_of(record(event_version=version.encode()), declared())
    assert (arrival.event is not None) is is_read
    assert (arrival.fault is None) is is_read


def test_an_event_carries_its_saga_and_its_trace() -> None:
    arrival = arrival_of(record(saga_id=ID.encode(), traceparent=TRACE.encode()), declared())
    assert arrival.event is not None
    assert (arrival.event.saga_id, arrival.event.traceparent) == (UUID(ID), TRACE)


def test_a_broken_trace_is_left_out_and_the_event_is_handled() -> None:
    arrival = arrival_of(record(saga_id=b"4711", traceparent=b"4711"), declared())
    assert arrival.event is not None
    assert (arrival.event.saga_id, arrival.event.traceparent) == (None, None)


def test_a_record_without_an_id_gets_one_by_its_place() -> None:
    nameless = record(id=None)
    first, again = (arrival_of(nameless, declared()) for _ in range(2))
    other = arrival_of(replace(nameless, offset_=43), declared())
    assert first.fault is not None
    assert first.id == again.id != other.id


class Customer(Message):
    email: str
    age: int


def test_an_unfit_payload_names_its_fields_and_quotes_no_value() -> None:
    arrival = arrival_of(replace(record(), value_=b'{"email": "ana@example.com", "age": "secret"}'), declared())
    assert arrival.event is not None
    with pytest.raises(UnfitEventError, match="age") as caught:
        arrival.event.read(Customer)
    assert "secret" not in str(caught.value)


def test_a_tombstone_is_an_event_without_content() -> None:
    arrival = arrival_of(replace(record(), value_=None), declared())
    assert arrival.event is not None
    assert arrival.event.payload == {}


@pytest.mark.parametrize(
    ("error", "text", "final"),
    [
        (Refused("out-of-stock", "none is left"), "out-of-stock: none is left", True),
        (UnfitEventError("age: missing"), "age: missing", True),
        (RuntimeError("bro\0ken"), "RuntimeError: broken", False),
        (RuntimeError("half \ud800"), "RuntimeError: half ?", False),
        (TimeoutError(), "10 s", False),
        (ValueError("x" * 1000), "ValueError", False),
    ],
)
def test_only_an_error_that_would_come_again_is_final(error: Exception, text: str, final: bool) -> None:
    failure = failure_of(error, time_limit=10)
    assert text in failure.error
    assert len(failure.error) <= 500
    assert failure.final is final


@pytest.mark.parametrize(
    ("headers", "trace", "sampled"),
    [
        ({"traceparent": TRACE.encode()}, TRACE.split("-")[1], True),
        (
            {"traceparent": TRACE.removesuffix("01").encode() + b"00", "saga_id": ID.encode()},
            TRACE.split("-")[1],
            False,
        ),
        ({"saga_id": ID.encode()}, UUID(ID).hex, True),
    ],
)
def test_events_that_an_event_causes_name_it_in_its_trace(headers: dict[str, bytes], trace: str, sampled: bool) -> None:
    arrival = arrival_of(record(**headers), declared())
    assert arrival.event is not None
    assert arrival.event.consequences == context_of_event(trace, ID, sampled=sampled)


def test_an_event_of_no_trace_and_no_saga_starts_none() -> None:
    arrival = arrival_of(record(), declared())
    assert arrival.event is not None
    assert arrival.event.consequences is None
    assert span_of(arrival, service="invoices", began=1, ended=2) is None


def test_the_span_of_a_handled_event_is_below_its_publisher_and_above_its_consequences() -> None:
    arrival = arrival_of(record(traceparent=TRACE.encode()), declared())
    span = span_of(arrival, service="invoices", began=1, ended=2)
    assert arrival.event is not None
    assert span is not None
    assert (span.parent, span.context) == (TraceContext.read(TRACE), arrival.event.consequences)
    assert (span.name, span.began, span.ended) == (f"{TOPIC} handled by invoices", 1, 2)


def test_the_context_of_an_event_ends_with_its_handler() -> None:
    with handling(UUID(ID), TRACE):
        assert (current().saga_id, current().traceparent) == (UUID(ID), TRACE)
    assert current().saga_id is None
