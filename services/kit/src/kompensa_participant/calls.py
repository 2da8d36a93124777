"""Reads the headers of a saga's call: its key, its attempt, the requested fault; and identifies its request."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

from fastapi import Header, Request

from kompensa_participant import errors, faults
from kompensa_participant.barrier import Direction, Operation
from kompensa_participant.problem import Problem

KEY_HEADER = "Idempotency-Key"
LONGEST_STEP = 63
LONGEST_ATTEMPT = 9  # digits
JSON_TYPE = re.compile(r"\s*application/([^;\s]+\+)?json\s*(;|$)", re.IGNORECASE)

Key = Annotated[
    str | None,
    Header(
        alias=KEY_HEADER,
        description="`<saga id>/<step>/<action|compensation>`, the same on every attempt. Required.",
        examples=["6f1c2a5e-7d0b-4e7e-9a53-0a4b3f1d2c11/reserve-inventory/action"],
    ),
]
Attempt = Annotated[
    str, Header(alias="Saga-Attempt", description="Counts the attempts of this call, from 1.", examples=["1"])
]


@dataclass(frozen=True)
class Call:
    """One call of a saga."""

    operation: Operation
    fault: faults.Fault


async def read_action(request: Request, idempotency_key: Key = None, saga_attempt: Attempt = "1") -> Call:
    return await _read(request, "action", idempotency_key, saga_attempt)


async def read_compensation(request: Request, idempotency_key: Key = None, saga_attempt: Attempt = "1") -> Call:
    return await _read(request, "compensation", idempotency_key, saga_attempt)


async def _read(request: Request, direction: Direction, key: str | None, attempt: str) -> Call:
    saga_id, step = read_key(key, direction)
    body = _json(await request.body(), request.headers.get("content-type", ""))
    _require_same_saga(body, saga_id)
    fingerprint = fingerprint_of(request.method, request.url.path, body)
    operation = Operation(saga_id=saga_id, step=step, direction=direction, fingerprint=fingerprint)
    return Call(operation, _fault(request, _attempt(attempt), direction))


def read_key(key: str | None, direction: Direction) -> tuple[UUID, str]:
    """Saga and step of a key. Raises Problem (400): what a call without a proper key does could never be undone."""
    if key is None:
        raise Problem(400, "idempotency-key-missing", f"send {KEY_HEADER}: <saga id>/<step>/{direction}")
    saga, _, rest = key.partition("/")
    step, _, given = rest.partition("/")
    try:
        saga_id = UUID(saga)
    except ValueError:
        saga_id = None
    if saga_id is None or given != direction or not 0 < len(step) <= LONGEST_STEP:
        raise Problem(400, "idempotency-key-invalid", f"{key!r} is not <saga id>/<step>/{direction}")
    return saga_id, step


def fingerprint_of(method: str, path: str, body: Any) -> str:
    """Return a fingerprint of the request's value, not of its bytes.

    Another spelling of the same JSON is the same request, for example if the caller is upgraded between two attempts.
    """
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return sha256(f"{method} {path}\n{canonical}".encode()).hexdigest()


def _json(body: bytes, content_type: str) -> Any:
    if not body:
        return None
    if not JSON_TYPE.match(content_type):
        raise errors.not_said_to_be_json()
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.not_json(error) from error


def _require_same_saga(body: Any, saga_id: UUID) -> None:
    told = body.get("sagaId") if isinstance(body, dict) else None
    if told is not None and str(told).lower() != str(saga_id):
        detail = f"sagaId is {told}, the {KEY_HEADER} says {saga_id}: they must name the same saga"
        raise Problem(422, "saga-id-mismatch", detail)


def _attempt(text: str) -> int:
    """Return the attempt, 1 if the header is not a number: it only selects the attempts that a fault is for."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_ATTEMPT else 1


def _fault(request: Request, attempt: int, direction: Direction) -> faults.Fault:
    header = request.headers.get(faults.HEADER)
    if not header or not request.app.state.faults_enabled:
        return faults.NO_FAULT
    fault = faults.parse(header)
    return fault if fault.applies(attempt=attempt, direction=direction) else faults.NO_FAULT
