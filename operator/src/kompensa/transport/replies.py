"""From an HTTP response to an outcome, with a reason and a message. Pure functions."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from kompensa.model.outcomes import Direction, Outcome
from kompensa.transport.port import Reply

# A participant may ask not to be called for a while. After a longer time, users would think that the saga is stuck.
LONGEST_RETRY_AFTER = 300.0
_SHOWN = 300
_EXCERPT = 60
_LONGEST_REASON = 64
_WORD = re.compile(r"[A-Za-z0-9]+")

FAILED_STATUSES = frozenset({409, 422})
MISCONFIGURED_STATUSES = frozenset({401, 403, 404, 405})
GONE = 410
KEY_REUSED = "IdempotencyKeyReused"


def outcome_of_status(status: int, direction: Direction, reason: str | None = None) -> Outcome:
    """Classify an HTTP status.

    202 is not an answer yet, so it is `UNKNOWN`, and the call is repeated with the same key. If the key was used before
    with another body, the outcome is `UNKNOWN` too, whatever the status: the first request may have had an effect.

    Parameters
    ----------
    reason
        The type of the problem document in CamelCase, if the response has one.
    """
    if status == 202 or reason == KEY_REUSED:
        return Outcome.UNKNOWN
    if 200 <= status < 300:
        return Outcome.SUCCEEDED
    if status in FAILED_STATUSES:
        return Outcome.FAILED
    if status == GONE and direction is Direction.COMPENSATION:
        return Outcome.SUCCEEDED
    if status in MISCONFIGURED_STATUSES:
        return Outcome.MISCONFIGURED
    return Outcome.UNKNOWN


PROBED_STATES = {
    "Succeeded": Outcome.SUCCEEDED,
    "Failed": Outcome.FAILED,
    "Tombstoned": Outcome.FAILED,
    "Absent": Outcome.ABSENT,
}


def outcome_of_probe(state: object) -> Outcome:
    """Classify the `state` in the answer to a probe. Any other value is `UNKNOWN`."""
    return PROBED_STATES.get(str(state), Outcome.UNKNOWN)


def classify(status: int, headers: Mapping[str, str], body: bytes, direction: Direction, *, now: datetime) -> Reply:
    """The meaning of the response to an action or a compensation."""
    document, fault = _object(body)
    reason = _reason(status, document)
    outcome = outcome_of_status(status, direction, reason)
    if outcome is Outcome.SUCCEEDED:
        # If the step needs an output, this message says why it is missing. Otherwise it is not shown.
        message = f"{status} whose body is not a JSON object: {fault}" if fault else None
        return Reply(outcome=outcome, reply=document or {}, message=message)
    return Reply(
        outcome=outcome,
        reply=document,
        reason=reason,
        message=f"{status} {_detail(document, body)}".strip(),
        retry_after=_retry_after(headers.get("Retry-After"), now),
    )


def classify_probe(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Reply:
    """The meaning of the response to a probe, for the action that it asks about."""
    question = classify(status, headers, body, Direction.ACTION, now=now)
    if question.outcome is not Outcome.SUCCEEDED:
        unknown = Outcome.MISCONFIGURED if question.outcome is Outcome.MISCONFIGURED else Outcome.UNKNOWN
        return msgspec.structs.replace(question, outcome=unknown, message=f"probe: {question.message}")
    answer = question.reply or {}
    stored = answer.get("reply")
    reply = stored if isinstance(stored, dict) else {}
    outcome = outcome_of_probe(answer.get("state"))
    if outcome is Outcome.FAILED:
        return Reply(outcome=outcome, reply=reply, reason=_reason(409, reply), message=_detail(reply, b""))
    return Reply(outcome=outcome, reply=reply)


def unanswered(reason: str, message: str) -> Reply:
    """The outcome if no response could be read: the effect is unknown."""
    return Reply(outcome=Outcome.UNKNOWN, reason=reason, message=message)


def not_sent(reason: str, message: str) -> Reply:
    """The outcome if nothing of the request left this engine: this call had no effect."""
    return Reply(outcome=Outcome.NOT_SENT, reason=reason, message=message)


def _object(body: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The JSON object in a body, or a description of the fault. A byte order mark is skipped."""
    if not body:
        return None, "it is empty"
    try:
        document = msgspec.json.decode(body.removeprefix(BOM_UTF8))
    except RecursionError:
        return None, "it is nested too deeply"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, f"{error}; it begins with {_plain(body[:_EXCERPT])!r}"
    if not isinstance(document, dict):
        return None, f"it begins with {_plain(body[:_EXCERPT])!r}"
    return document, None


def _reason(status: int, document: Mapping[str, Any] | None) -> str:
    """The slug at the end of a problem's type in CamelCase: urn:...:payment-declined becomes PaymentDeclined."""
    kind = document.get("type") if document else None
    if isinstance(kind, str) and kind != "about:blank":
        reason = _camel_case(kind.rstrip("/").replace("#", "/").rsplit("/", 1)[-1].rsplit(":", 1)[-1])
        if reason[:1].isalpha():
            return reason[:_LONGEST_REASON]
    return f"Http{status}"


def _camel_case(slug: str) -> str:
    """The slug in CamelCase, in ASCII letters and digits. The CRD of Saga rejects a status with any other reason."""
    if slug.isupper():
        slug = slug.lower()
    return "".join(word[0].upper() + word[1:] for word in _WORD.findall(slug))


def _detail(document: Mapping[str, Any] | None, body: bytes) -> str:
    if document:
        for field in ("detail", "title"):
            if isinstance(document.get(field), str):
                return _one_line(document[field])[:_SHOWN]
    return _plain(body[:_SHOWN])


def _plain(body: bytes) -> str:
    return _one_line(body.decode("utf-8", errors="replace"))


def _one_line(text: str) -> str:
    """The text in one line, without control characters. Terminals that show a log or an object would obey them."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _retry_after(value: str | None, now: datetime) -> float:
    """Seconds from a header with seconds or an HTTP date (RFC 9110, 10.2.3). Anything else is ignored."""
    if not value:
        return 0.0
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(0.0, (at - now).total_seconds()), LONGEST_RETRY_AFTER)
