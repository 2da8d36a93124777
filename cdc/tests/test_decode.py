from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kompensa_cdc.events import Event, Poison, decode

from .records import FakeRecord, with_headers


def test_a_record_becomes_an_event_with_its_versions_and_time() -> None:
    event = decode(FakeRecord())

    assert isinstance(event, Event)
    assert (event.topic, event.partition, event.offset) == ("orders.customer-created", 3, 42)
    assert (event.key, event.type, event.version, event.aggregate_version) == (
        "7d444840-9dc0-11d1-b245-5ffdce74fad2",
        "customer-created",
        "1.0",
        1,
    )
    assert event.payload == {"email": "ana@example.com"}
    assert event.occurred_at == datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=UTC)


def test_a_tombstone_is_an_event_although_its_record_is_false() -> None:
    record = FakeRecord(value_=None)
    assert not record

    event = decode(record)

    assert isinstance(event, Event)
    assert event.payload is None


def test_a_header_without_a_value_is_kept_as_none() -> None:
    event = decode(FakeRecord())
    assert event.headers["traceparent"] is None


def test_money_is_never_a_float() -> None:
    event = decode(FakeRecord(value_=b'{"total": 0.1}'))
    assert isinstance(event, Event)
    assert event.payload == {"total": Decimal("0.1")}


def test_without_a_time_header_the_record_s_own_time_counts() -> None:
    event = decode(FakeRecord(headers_=with_headers(occurred_at=None)))
    assert isinstance(event, Event)
    assert event.occurred_at == datetime.fromtimestamp(1_700_000_000, UTC)


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (FakeRecord(key_=None), "the record has no key"),
        (FakeRecord(headers_=with_headers(event_type=None)), "header event-type is missing"),
        (FakeRecord(headers_=with_headers(aggregate_version=None)), "header aggregate-version is missing"),
        (FakeRecord(headers_=with_headers(aggregate_version=b"two")), "aggregate-version is 'two'"),
        (FakeRecord(headers_=with_headers(aggregate_version=b"0")), "expected a whole number from 1"),
        (FakeRecord(headers_=with_headers(aggregate_version=b"9" * 30)), "expected a whole number from 1"),
        (FakeRecord(headers_=with_headers(occurred_at=b"yesterday")), "occurred-at is 'yesterday'"),
        (FakeRecord(value_=b"{"), "the value is not JSON"),
        (FakeRecord(value_=b'{"a":"\xff"}'), "the value is not JSON"),
        (FakeRecord(value_=b"[1]"), "the value is a JSON list"),
    ],
)
def test_what_cannot_be_read_is_poison_that_says_what_was_expected(record: FakeRecord, complaint: str) -> None:
    poison = decode(record)

    assert isinstance(poison, Poison)
    assert complaint in poison.error
    assert (poison.topic, poison.partition, poison.offset) == ("orders.customer-created", 3, 42)
