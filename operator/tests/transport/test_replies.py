"""The meaning of a participant's response: outcome, reason, message and Retry-After, by status and body."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
import pytest

from kompensa.model.outcomes import Direction, Outcome
from kompensa.transport.port import Reply
from kompensa.transport.replies import LONGEST_RETRY_AFTER, classify, classify_probe

NOW = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


def action(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
    return classify(status, headers or {}, body, Direction.ACTION, now=NOW)


def probe(status: int, body: bytes = b"") -> Reply:
    return classify_probe(status, {}, body, now=NOW)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.SUCCEEDED),
        (201, Outcome.SUCCEEDED),
        (204, Outcome.SUCCEEDED),
        (202, Outcome.UNKNOWN),
        (301, Outcome.UNKNOWN),
        (307, Outcome.UNKNOWN),
        (400, Outcome.UNKNOWN),
        (401, Outcome.MISCONFIGURED),
        (403, Outcome.MISCONFIGURED),
        (404, Outcome.MISCONFIGURED),
        (405, Outcome.MISCONFIGURED),
        (408, Outcome.UNKNOWN),
        (409, Outcome.FAILED),
        (410, Outcome.UNKNOWN),
        (422, Outcome.FAILED),
        (429, Outcome.UNKNOWN),
        (500, Outcome.UNKNOWN),
        (502, Outcome.UNKNOWN),
        (503, Outcome.UNKNOWN),
        (504, Outcome.UNKNOWN),
    ],
)
def test_a_status_says_what_is_known_of_the_effect(status: int, outcome: Outcome) -> None:
    assert action(status).outcome is outcome


def test_what_is_to_be_undone_and_is_gone_is_undone() -> None:
    assert classify(410, {}, b"", Direction.COMPENSATION, now=NOW).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is empty"),
        (b"null", "it begins with 'null'"),
        (b'["a"]', """it begins with '["a"]'"""),
        (b"OK", "JSON is malformed: invalid character (byte 0); it begins with 'OK'"),
        (b'{"a":NaN}', "JSON is malformed: invalid character (byte 5)"),
        (b'{"a":1e400}', "Number out of range"),
        ('{"a":1}'.encode("utf-16"), "JSON is malformed"),
        (b'{"a":"\xe9"}', "'utf-8' codec can't decode"),
        (b"\x1f\x8b\x08\x00", "JSON is malformed"),
        (b'{"a":', "Input data was truncated"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
def test_a_success_whose_body_is_no_json_object_is_one_without_fields_and_says_why(body: bytes, why: str) -> None:
    reply = action(200, body)
    assert (reply.outcome, reply.reply, reply.reason) == (Outcome.SUCCEEDED, {}, None)
    assert reply.message is not None
    assert reply.message.startswith(f"200 whose body is not a JSON object: {why}")
    assert reply.message.isprintable()
    assert len(reply.message) < 250


def test_a_byte_order_mark_is_no_part_of_a_reply() -> None:
    assert action(200, b'\xef\xbb\xbf{"id":1}') == Reply(outcome=Outcome.SUCCEEDED, reply={"id": 1})


def test_what_a_terminal_would_obey_is_not_passed_on() -> None:
    reply = action(409, msgspec.json.encode({"detail": "a\0b\x1b[31m\u2028\r\n\u202eX é 満席"}))
    assert reply.message == "409 a b [31m X é 満席"
    assert action(503, b"busy\r\n\x1b[2J\x9b").message == "503 busy [2J\ufffd"


def test_a_success_carries_its_fields() -> None:
    assert action(201, b'{"reservationId":"r-1"}').reply == {"reservationId": "r-1"}


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b"\xff\xfe", b"[" * 100_000])
def test_a_failure_whose_body_is_no_json_object_keeps_its_status_as_reason(body: bytes) -> None:
    reply = action(502, body)
    assert (reply.outcome, reply.reason) == (Outcome.UNKNOWN, "Http502")
    assert reply.message is not None
    assert reply.message.startswith("502")
    assert len(reply.message) < 400


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("urn:shop:problem:payment-declined", "PaymentDeclined"),
        ("https://shop.example/problems/payment-declined", "PaymentDeclined"),
        ("https://shop.example/problems#out-of-stock", "OutOfStock"),
        ("payment-declined", "PaymentDeclined"),
        ("urn:shop:problem:card_error", "CardError"),
        ("urn:shop:problem:OUT_OF_CREDIT", "OutOfCredit"),
        ("urn:shop:problem:paymentDeclined", "PaymentDeclined"),
        ("urn:shop:problem:out-of-credit?x=1", "OutOfCreditX1"),
        ("urn:shop:problem:no-é-room", "NoRoom"),
        ("urn:shop:problem:満席", "Http409"),
        ("about:blank", "Http409"),
        ("", "Http409"),
        ("urn:x:42-is-no-name", "Http409"),
        ("urn:x:" + "-".join(["long"] * 100), "Long" * 16),
    ],
)
def test_a_problems_type_is_the_reason(kind: str, reason: str) -> None:
    reply = action(409, b'{"type":"%s","detail":"card was declined"}' % kind.encode())
    assert (reply.reason, reply.message) == (reason, "409 card was declined")


@pytest.mark.parametrize(
    "kind", ["x:é", "x:no-é-room", "x:Ⅷ", "x:a.b,c:d-", "x:ß", "x:٣-a", "x:a\nb", "x:" + "é-" * 99]
)
def test_every_reason_is_one_that_a_saga_object_may_bear(kind: str) -> None:
    reason = action(409, msgspec.json.encode({"type": kind})).reason
    assert reason is not None
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,63}", reason)


def test_a_key_that_is_taken_by_another_body_says_nothing_of_the_first_body() -> None:
    assert action(422, b'{"type":"urn:x:idempotency-key-reused"}').outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999999", LONGEST_RETRY_AFTER),
        ("9" * 400, LONGEST_RETRY_AFTER),
        ("Sat, 31 Jan 2026 10:00:30 GMT", 30.0),
        ("Sat, 31 Jan 2026 09:00:00 GMT", 0.0),
        ("Sat, 31 Jan 2099 10:00:00 GMT", LONGEST_RETRY_AFTER),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("٣", 0.0),
        ("soon", 0.0),
        ("Sat, 99 Foo 2026 10:00:30 GMT", 0.0),
        ("31 Jan 99999999999999999999 10:00:00 GMT", 0.0),
        ("Sat, 31 Jan 2026 10:00:30 +99999999999999", 0.0),
    ],
)
def test_retry_after_is_kept_within_bounds(header: str, seconds: float) -> None:
    reply = action(429, b"", {"Retry-After": header})
    assert (reply.outcome, reply.retry_after) == (Outcome.UNKNOWN, seconds)


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"state":"Succeeded","reply":{"id":1}}', Outcome.SUCCEEDED),
        (b'{"state":"Failed","reply":{"type":"urn:x:no-stock"}}', Outcome.FAILED),
        (b'{"state":"Tombstoned"}', Outcome.FAILED),
        (b'{"state":"Absent"}', Outcome.ABSENT),
        (b'{"state":"Perhaps"}', Outcome.UNKNOWN),
        (b"{}", Outcome.UNKNOWN),
        (b"not json", Outcome.UNKNOWN),
    ],
)
def test_a_probe_reports_what_became_of_the_action(body: bytes, outcome: Outcome) -> None:
    assert probe(200, body).outcome is outcome


def test_a_probe_brings_the_actions_stored_reply() -> None:
    assert probe(200, b'{"state":"Succeeded","reply":{"id":1}}').reply == {"id": 1}
    assert probe(200, b'{"state":"Failed","reply":{"type":"urn:x:no-stock"}}').reason == "NoStock"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(409, Outcome.UNKNOWN), (422, Outcome.UNKNOWN), (500, Outcome.UNKNOWN), (404, Outcome.MISCONFIGURED)],
)
def test_a_probe_that_fails_says_nothing_of_the_action(status: int, outcome: Outcome) -> None:
    reply = probe(status)
    assert reply.outcome is outcome
    assert reply.message is not None
    assert reply.message.startswith("probe: ")
