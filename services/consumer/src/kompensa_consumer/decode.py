"""Turn a record into an Event, or into Poison that says what is missing. Pure; called once a record, so kept lean."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from kompensa_consumer.event import Event, Headers, Poison, PoisonError
from kompensa_consumer.record import Record, time_of

MAX_NESTING = 100  # levels of a payload: far more than any real event has, and far fewer than exhaust a stack
MAX_KEY = 500  # characters: an entry of a PostgreSQL index must stay below 2704 bytes
UNREADABLE = "\ufffd"  # replaces unreadable characters, so that different keys may become the same text
MAX_VERSION = 2**63 - 2  # a bigint, with one left above it
MAX_ERROR = 500  # characters: errors end in an object's status
QUOTED = 60  # characters of a header that an error quotes

# Numbers with a point become Decimal: a float would change money on its way into the copy.
_JSON: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


def decode(record: Record) -> Event | Poison:
    """Return the event in `record`, or Poison if it lacks a key, a version, a type or a JSON object as its value.

    This raises nothing. A record that ended the worker would be read again at the next start, and end it again.
    """
    headers: Headers = {}
    key = ""
    try:
        key = _key(record.key())
        headers = _headers(record)
        return Event(
            topic=record.topic() or "",
            partition=_whole(record.partition()),
            offset=_whole(record.offset()),
            key=_required_key(key),
            type=_required(headers, "event-type"),
            version=headers.get("event-version") or "1.0",
            aggregate_version=_aggregate_version(headers),
            payload=_payload(record.value()),
            value=record.value(),
            headers=headers,
            occurred_at=_occurred_at(headers, record),
        )
    except PoisonError as error:
        return poison(record, str(error), headers=headers, key=key)
    except Exception as error:
        return poison(record, unexpected(error), headers=headers, key=key)


def poison(record: Record, error: str, *, headers: Headers, key: str) -> Poison:
    return Poison(
        topic=record.topic() or "",
        partition=_whole(record.partition()),
        offset=_whole(record.offset()),
        key=_indexable(key),
        headers=headers,
        value=_storable(record.value()),
        error=_sentence(error),
    )


def poisoned(event: Event, error: str) -> Poison:
    """Turn an event that decoded well but cannot be applied into Poison."""
    return Poison(
        topic=event.topic,
        partition=event.partition,
        offset=event.offset,
        key=event.key,
        headers=event.headers,
        value=_storable(event.value),
        error=_sentence(error),
    )


def unexpected(error: Exception) -> str:
    """Describe an unforeseen error by its type alone: its text may quote the record's value."""
    return f"the record cannot be read ({type(error).__name__}): expected an event as the outbox's connector sends it"


def version_in(headers: Headers) -> int | None:
    """The aggregate's version, from 1 to MAX_VERSION, or None if it cannot be read."""
    text = headers.get("aggregate-version") or ""
    # The length first: Python refuses to read a number of thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_VERSION))):
        return None
    version = int(text)
    return version if 0 < version <= MAX_VERSION else None


def _headers(record: Record) -> Headers:
    # A header's value may be None: that is how Connect sends a null column.
    headers = record.headers() or ()
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return {_lenient(name): None if value is None else _lenient(value) for name, value in pairs}


def _lenient(value: str | bytes) -> str:
    # PostgreSQL's text cannot hold NUL. Headers are shown to a person, so replaced characters do no harm.
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
    return text.replace("\0", UNREADABLE)


def _storable(value: str | bytes | None) -> str | None:
    # Escaped in a way that JSON does not allow: a value that is not JSON must not become JSON by being parked.
    if value is None:
        return None
    text = value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else value
    return text.replace("\0", "\\x00")


def _indexable(key: str) -> str:
    # Still too long, so that a retry rejects it again.
    return key if len(key) <= MAX_KEY else key[:MAX_KEY] + "…"


def _sentence(error: str) -> str:
    text = error.replace("\0", UNREADABLE)
    return text if len(text) <= MAX_ERROR else text[: MAX_ERROR - 1] + "…"


def _quoted(text: str) -> str:
    return repr(text) if len(text) <= QUOTED else f"{text[:QUOTED]!r}… ({len(text)} characters)"


def _key(value: str | bytes | None) -> str:
    """Return the key as text, and "" if the record has none.

    A key that is not text is spelled out after UNREADABLE, which makes `_required_key` reject it. If only its
    unreadable characters were replaced, as in other texts, different keys would become the same one.
    """
    if value is None:
        return ""
    try:
        text = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        text = UNREADABLE
    return f"{UNREADABLE}{_storable(value)}" if text == UNREADABLE or "\0" in text else text


def _whole(value: int | None) -> int:
    return -1 if value is None else value


def _required_key(key: str) -> str:
    if not key:
        raise PoisonError("the record has no key: expected the aggregate's id")
    if UNREADABLE in key:
        raise PoisonError("the record's key is not UTF-8 text, or holds NUL: expected the aggregate's id as text")
    if len(key) > MAX_KEY:
        raise PoisonError(f"the record's key has {len(key)} characters: expected the aggregate's id, {MAX_KEY} at most")
    return key


def _required(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise PoisonError(f"header {name} is missing: the outbox's connector sends it with every event")
    return value


def _aggregate_version(headers: Headers) -> int:
    text = _required(headers, "aggregate-version")
    version = version_in(headers)
    if version is None:
        raise PoisonError(f"header aggregate-version is {_quoted(text)}: expected a whole number from 1")
    return version


def _payload(value: str | bytes | None) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        payload = _JSON.decode(value)
    except (msgspec.DecodeError, ArithmeticError, UnicodeDecodeError) as error:
        raise PoisonError(f"the value is not JSON ({error}): expected an object") from None
    except RecursionError:
        raise _too_deep() from None
    if payload is None:
        return None
    if not isinstance(payload, dict):
        raise PoisonError(f"the value is a JSON {type(payload).__name__}: expected an object")
    if _openings(value) > MAX_NESTING and _nests_too_deep(payload):
        raise _too_deep()
    return payload


def _too_deep() -> PoisonError:
    return PoisonError(f"the value is nested too deeply: expected at most {MAX_NESTING} levels")


def _openings(value: str | bytes) -> int:
    """Return a bound of the nesting. Two scans in C are quick; only a payload above the limit is walked."""
    if isinstance(value, bytes):
        return value.count(b"[") + value.count(b"{")
    return value.count("[") + value.count("{")


def _nests_too_deep(payload: dict[str, Any]) -> bool:
    level: list[Any] = [payload]
    for _ in range(MAX_NESTING):
        children = (child for each in level for child in (each.values() if isinstance(each, dict) else each))
        level = [child for child in children if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _occurred_at(headers: Headers, record: Record) -> datetime:
    text = headers.get("occurred-at")
    if not text:
        return _recorded_at(record.timestamp()[1])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise PoisonError(
            f"header occurred-at is {_quoted(text)}: expected a time such as 2026-01-31T12:00:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _recorded_at(milliseconds: int) -> datetime:
    found = time_of(milliseconds)
    if found is None:
        raise PoisonError(
            f"the record's time-stamp is {milliseconds} ms since 1970, beyond any calendar: expected header occurred-at"
        )
    return found
