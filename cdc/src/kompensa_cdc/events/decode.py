"""From a record to an Event, or to Poison that says what it lacks. Pure; one call per record, so it is kept lean."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from kompensa_cdc.events.event import Event, Headers, Poison, PoisonError
from kompensa_cdc.events.record import Record

# Numbers with a point become Decimal: a float would change money on its way into the copy.
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_JSON: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


def decode(record: Record) -> Event | Poison:
    """Return the event in `record`, or Poison when it lacks a key, a version, a type or a JSON object as its value."""
    headers = _headers(record)
    key = _text(record.key()) or ""
    try:
        return Event(
            topic=record.topic() or "",
            partition=_whole(record.partition()),
            offset=_whole(record.offset()),
            key=_required_key(key),
            type=_required(headers, "event-type"),
            version=headers.get("event-version") or "1.0",
            aggregate_version=_aggregate_version(headers),
            payload=_payload(record.value()),
            headers=headers,
            occurred_at=_occurred_at(headers, record),
        )
    except PoisonError as error:
        return poison(record, str(error), headers=headers, key=key)


def poison(record: Record, error: str, *, headers: Headers, key: str) -> Poison:
    value = record.value()
    return Poison(
        topic=record.topic() or "",
        partition=_whole(record.partition()),
        offset=_whole(record.offset()),
        key=key,
        headers=headers,
        value=None if value is None else _lenient(value),
        error=error,
    )


def poisoned(event: Event, error: str) -> Poison:
    """Turn an event that decoded well but cannot be applied into Poison."""
    return Poison(
        topic=event.topic,
        partition=event.partition,
        offset=event.offset,
        key=event.key,
        headers=event.headers,
        value=None if event.payload is None else _ENCODER.encode(event.payload).decode(),
        error=error,
    )


def _headers(record: Record) -> Headers:
    # A header's value may be None: that is how Connect sends a null column.
    headers = record.headers() or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return {name: None if value is None else _lenient(value) for name, value in pairs}


def _lenient(value: str | bytes) -> str:
    # PostgreSQL's text holds no NUL, and what is shown to a person may be imprecise there.
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
    return text.replace("\0", "\ufffd")


def _text(value: str | bytes | None) -> str | None:
    return _lenient(value) if value is not None else None


def _whole(value: int | None) -> int:
    return -1 if value is None else value


def _required_key(key: str) -> str:
    if not key:
        raise PoisonError("the record has no key: expected the aggregate's id")
    return key


def _required(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise PoisonError(f"header {name} is missing: the outbox's connector sends it with every event")
    return value


def _aggregate_version(headers: Headers) -> int:
    text = _required(headers, "aggregate-version")
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise PoisonError(f"header aggregate-version is {text!r}: expected a whole number from 1")
    return int(text)


def _payload(value: str | bytes | None) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        payload = _JSON.decode(value)
    except (msgspec.DecodeError, ArithmeticError, UnicodeDecodeError) as error:
        raise PoisonError(f"the value is not JSON ({error}): expected an object") from None
    if payload is None:
        return None
    if not isinstance(payload, dict):
        raise PoisonError(f"the value is a JSON {type(payload).__name__}: expected an object")
    return payload


def _occurred_at(headers: Headers, record: Record) -> datetime:
    text = headers.get("occurred-at")
    if not text:
        return datetime.fromtimestamp(record.timestamp()[1] / 1000, UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PoisonError(f"header occurred-at is {text!r}: expected a time such as 2026-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
