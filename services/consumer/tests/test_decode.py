from datetime import UTC, datetime
from decimal import Decimal

import pytest

from kompensa_consumer import Event, Poison, decode
from tests.support.records import FakeRecord, with_headers


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


def test_a_stored_event_in_the_topic_of_its_aggregates_type_is_an_event() -> None:
    """The form of records that an Outbox with the route ByAggregateType sends."""
    headers = with_headers(event_type=b"ORDER_SHIPPED", event_version=b"1.1", aggregate_version=b"3")
    event = decode(FakeRecord(topic_="orders.Order", headers_=headers, value_=b'{"trackingNumber": "BR-1"}'))

    assert isinstance(event, Event)
    assert (event.topic, event.type, event.version, event.aggregate_version) == (
        "orders.Order",
        "ORDER_SHIPPED",
        "1.1",
        3,
    )
    assert event.payload == {"trackingNumber": "BR-1"}


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
        (
            FakeRecord(headers_=with_headers(aggregate_version=b"9" * 5000)),
            "(5000 characters): expected a whole number",
        ),
        (FakeRecord(headers_=with_headers(aggregate_version=str(2**63).encode())), "expected a whole number from 1"),
        (FakeRecord(headers_=with_headers(occurred_at=b"yesterday")), "occurred-at is 'yesterday'"),
        (FakeRecord(value_=b"{"), "the value is not JSON"),
        (FakeRecord(value_=b'{"a":"\xff"}'), "the value is not JSON"),
        (FakeRecord(value_=b"[1]"), "the value is a JSON list"),
        (
            FakeRecord(value_=b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}"),
            "nested too deeply: expected at most 100 levels",
        ),
        (
            FakeRecord(value_=b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"),
            "nested too deeply: expected at most 100 levels",
        ),
        (FakeRecord(value_=b'{"a":' + b"9" * 5000 + b"}"), "the value is not JSON"),
        (FakeRecord(value_=b'{"a":1e99999999999999999999}'), "the value is not JSON"),
        (FakeRecord(key_=b"k" * 501), "the record's key has 501 characters"),
        (
            FakeRecord(headers_=with_headers(occurred_at=None), timestamp_=2**62),
            "the record's time-stamp is 4611686018427387904 ms since 1970",
        ),
        (FakeRecord(headers_=with_headers(occurred_at=None), timestamp_=-(2**62)), "beyond any calendar"),
    ],
)
def test_an_unreadable_record_is_poison_that_names_the_expected_value(record: FakeRecord, complaint: str) -> None:
    poison = decode(record)

    assert isinstance(poison, Poison)
    assert complaint in poison.error
    assert (poison.topic, poison.partition, poison.offset) == ("orders.customer-created", 3, 42)


def test_a_payload_may_nest_as_deep_as_the_limit_and_be_as_broad_as_it_likes() -> None:
    event = decode(FakeRecord(value_=b'{"a":' + b"[" * 99 + b"]" * 99 + b',"b":[' + b"{}," * 500 + b"{}]}"))
    assert isinstance(event, Event)


class UnreadableHeaders(FakeRecord):
    def headers(self) -> list[tuple[str, str | bytes | None]] | None:
        raise UnicodeDecodeError("utf-8", b"ana\xff", 3, 4, "invalid start byte")


def test_an_unforeseen_error_is_poison_and_does_not_quote_the_record() -> None:
    poison = decode(UnreadableHeaders())

    assert isinstance(poison, Poison)
    assert (poison.key, poison.offset, poison.headers) == ("7d444840-9dc0-11d1-b245-5ffdce74fad2", 42, {})
    assert poison.error == (
        "the record cannot be read (UnicodeDecodeError): expected an event as the outbox's connector sends it"
    )


def test_poison_is_fit_for_the_database_and_for_a_status() -> None:
    headers = [*with_headers(aggregate_version=None), ("na\0me", b"val\0ue")]
    poison = decode(FakeRecord(key_=b"k" * 5000, headers_=headers, value_=b"\0"))

    assert isinstance(poison, Poison)
    assert "\0" not in f"{poison.key}{poison.headers}{poison.value}{poison.error}"
    assert len(poison.key) <= 501
    assert len(poison.error) <= 500
    long = decode(FakeRecord(headers_=with_headers(occurred_at=b"x" * 50_000)))
    assert isinstance(long, Poison)
    assert len(long.error) <= 500


def test_a_parked_value_that_is_not_json_does_not_become_json() -> None:
    for value in (b'{"a":"\xff"}', b'{"a":"\0"}'):
        poison = decode(FakeRecord(value_=value))
        assert isinstance(poison, Poison)
        assert isinstance(poison.value, str)
        again = decode(FakeRecord(value_=poison.value.encode()))
        assert isinstance(again, Poison), poison.value


@pytest.mark.parametrize("key", [(number).to_bytes(8, "big") for number in (0, 127, 128, 255)] + [b"caf\xe9", b"a\0b"])
def test_a_key_that_is_not_text_is_poison_and_stays_poison_at_a_retry(key: bytes) -> None:
    poison = decode(FakeRecord(key_=key))
    assert isinstance(poison, Poison)
    assert "the record's key is not UTF-8 text, or holds NUL" in poison.error
    assert "\0" not in poison.key

    again = decode(FakeRecord(key_=poison.key.encode()))
    assert isinstance(again, Poison)
    assert (again.key, again.error) == (poison.key, poison.error)


def test_different_keys_that_are_not_text_stay_different() -> None:
    keys = {decode(FakeRecord(key_=number.to_bytes(8, "big"))).key for number in range(256)}
    assert len(keys) == 256


def test_a_key_in_which_something_was_replaced_before_is_poison() -> None:
    assert isinstance(decode(FakeRecord(key_="caf\ufffd".encode())), Poison)
