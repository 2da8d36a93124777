"""From an HTTP response to an outcome with a reason and a sentence. Pure."""

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

# A participant may ask for patience, but not for so much that its saga looks forgotten.
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
    """Classify an HTTP status, with the reason that its problem document gave (its type in CamelCase).

    202 is not an answer yet, so it is `UNKNOWN`: the same key will be asked again. A key that is taken by another
    body is `UNKNOWN` too, although its status says refused: the request it was first used for may have had an effect.
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
    """Classify the `state` a participant's operations probe reports; anything unheard of stays `UNKNOWN`."""
    return PROBED_STATES.get(str(state), Outcome.UNKNOWN)


def classify(status: int, headers: Mapping[str, str], body: bytes, direction: Direction, *, now: datetime) -> Reply:
    """What an action's or a compensation's response means."""
    document, fault = _object(body)
    reason = _reason(status, document)
    outcome = outcome_of_status(status, direction, reason)
    if outcome is Outcome.SUCCEEDED:
        # Harmless where nothing of the reply is wanted; where something is, this says why it is not there.
        message = f"{status} whose body is no JSON object: {fault}" if fault else None
        return Reply(outcome=outcome, reply=document or {}, message=message)
    return Reply(
        outcome=outcome,
        reply=document,
        reason=reason,
        message=f"{status} {_detail(document, body)}".strip(),
        retry_after=_retry_after(headers.get("Retry-After"), now),
    )


def classify_probe(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Reply:
    """What a probe's response says of the action it asks about."""
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
    """No response that could be read: nothing is known of the effect."""
    return Reply(outcome=Outcome.UNKNOWN, reason=reason, message=message)


def not_sent(reason: str, message: str) -> Reply:
    """Nothing of the request left this engine, so this call had no effect."""
    return Reply(outcome=Outcome.NOT_SENT, reason=reason, message=message)


def _object(body: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """The JSON object in a body, or what is there instead. A byte order mark before it is no part of it."""
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
    """In ASCII letters and digits alone: any other reason would be refused by the Saga's kind, status and all."""
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
    """Without what is no character to be seen: it ends in logs, objects and terminals, which obey some of those."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _retry_after(value: str | None, now: datetime) -> float:
    """Seconds, or an HTTP date (RFC 9110, 10.2.3); what is neither is ignored."""
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
