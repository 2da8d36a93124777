"""Errors as problem documents (RFC 9457). All errors have this form, even those about a body that is not JSON.

`type` ends in a slug that programs may rely on. `detail` says to people what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from kompensa.engine.errors import (
    DefinitionInvalidError,
    EngineError,
    IdempotencyKeyReusedError,
    IdReusedError,
    InputInvalidError,
    NotReadyError,
    OverloadedError,
    PageGoneError,
    ParticipantInvalidError,
    SagaEndedError,
    UnknownDefinitionError,
    UnknownSagaError,
)
from kompensa.journal.errors import JournalError, RejectedError
from kompensa_common.problems import MEDIA_TYPE, NAMESPACE, problem_document, slug_of_status

_log = structlog.get_logger(__name__)
STATUS_OF: Mapping[str, int] = {
    "not-json": 400,
    "unauthorized": 401,
    "not-found": 404,
    "unknown-definition": 404,
    "unknown-participant": 404,
    "unknown-saga": 404,
    "method-not-allowed": 405,
    "id-reused": 409,
    "idempotency-key-reused": 409,
    "saga-ended": 409,
    "page-gone": 410,
    "body-too-large": 413,
    "input-too-large": 413,
    "body-invalid": 422,
    "definition-invalid": 422,
    "input-invalid": 422,
    "not-storable": 422,
    "parameter-invalid": 422,
    "participant-invalid": 422,
    "overloaded": 429,
    "internal-error": 500,
    "journal-unavailable": 503,
    "not-ready": 503,
}
"""The HTTP status of each problem, by its slug."""
_BY_ERROR: Mapping[type[Exception], str] = {
    UnknownDefinitionError: "unknown-definition",
    UnknownSagaError: "unknown-saga",
    InputInvalidError: "input-invalid",
    DefinitionInvalidError: "definition-invalid",
    ParticipantInvalidError: "participant-invalid",
    IdempotencyKeyReusedError: "idempotency-key-reused",
    IdReusedError: "id-reused",
    SagaEndedError: "saga-ended",
    PageGoneError: "page-gone",
    OverloadedError: "overloaded",
    NotReadyError: "not-ready",
    RejectedError: "not-storable",
}
_RETRY_AFTER = "1"
_TRY_AGAIN = frozenset({429, 503})


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document. `findings` lists all faults if there may be more than one."""

    type: str
    title: str
    status: int
    detail: str = ""
    findings: tuple[str, ...] = ()


class BadRequestError(Exception):
    """The request itself is not valid. `slug` is the kind of fault."""

    def __init__(self, slug: str, detail: str) -> None:
        super().__init__(detail)
        self.slug = slug


def problem_bytes(slug: str, detail: str, findings: tuple[str, ...] = ()) -> bytes:
    """An encoded problem document."""
    listed = {"findings": findings} if findings else {}
    return msgspec.json.encode(problem_document(STATUS_OF[slug], slug, detail, **listed))


def problem_response(slug: str, detail: str, findings: tuple[str, ...] = ()) -> Response:
    """A response with a problem document."""
    status = STATUS_OF[slug]
    headers = {"Retry-After": _RETRY_AFTER} if status in _TRY_AGAIN else None
    return Response(problem_bytes(slug, detail, findings), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of this application a problem document."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def refusal(request: Request, error: Exception) -> Response:
    """The application's response to this error."""
    handler = next(_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS)
    return await handler(request, error)


async def _engine_error(_request: Request, error: Exception) -> Response:
    return problem_response(_BY_ERROR[type(error)], str(error), getattr(error, "findings", ()))


async def _journal_error(_request: Request, error: Exception) -> Response:
    return problem_response(_BY_ERROR.get(type(error), "journal-unavailable"), str(error))


async def _bad_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequestError)
    return problem_response(error.slug, str(error))


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    findings = tuple(f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}" for e in error.errors())
    return problem_response("parameter-invalid", "; ".join(findings), findings)


async def _http_error(_request: Request, error: Exception) -> Response:
    """Answer an error of the framework: there is no such route, or not with this method."""
    assert isinstance(error, HTTPException)
    return problem_response(slug_of_status(error.status_code), str(error.detail))


async def _fault(_request: Request, error: Exception) -> Response:
    _log.error("a request failed because of a fault in the engine", error=repr(error), exc_info=error)
    return problem_response("internal-error", "the engine failed to answer; its log says why")


_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    EngineError: _engine_error,
    JournalError: _journal_error,
    BadRequestError: _bad_request,
    RequestValidationError: _validation_error,
    HTTPException: _http_error,
    Exception: _fault,
}


OF_EVERY_ROUTE = ("unauthorized", "internal-error")
OF_BODIES = ("not-json", "body-too-large", "body-invalid")


def documented(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The problems of a route by status, for its `responses`."""
    by_status: dict[int, list[str]] = {}
    for slug in slugs:
        by_status.setdefault(STATUS_OF[slug], []).append(slug)
    return {status: _documented(sorted(found)) for status, found in sorted(by_status.items())}


def _documented(slugs: list[str]) -> dict[str, Any]:
    schema = {
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"properties": {"type": {"enum": [NAMESPACE + slug for slug in slugs]}}},
        ]
    }
    return {"description": ", ".join(slugs), "content": {MEDIA_TYPE: {"schema": schema}}}
