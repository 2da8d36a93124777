"""Errors as problem documents (RFC 9457). All errors have this form, even those about a body that is not JSON.

`type` ends in a slug that programs may rely on. `detail` says to people what is wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
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
from kompensa_common.problems import MEDIA_TYPE, problem_document, slug_of_status

_log = structlog.get_logger(__name__)
_BY_ERROR: Mapping[type[Exception], tuple[int, str]] = {
    UnknownDefinitionError: (404, "unknown-definition"),
    UnknownSagaError: (404, "unknown-saga"),
    InputInvalidError: (422, "input-invalid"),
    DefinitionInvalidError: (422, "definition-invalid"),
    ParticipantInvalidError: (422, "participant-invalid"),
    IdempotencyKeyReusedError: (409, "idempotency-key-reused"),
    IdReusedError: (409, "id-reused"),
    SagaEndedError: (409, "saga-ended"),
    PageGoneError: (410, "page-gone"),
    OverloadedError: (429, "overloaded"),
    NotReadyError: (503, "not-ready"),
    RejectedError: (422, "not-storable"),
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

    def __init__(self, detail: str, *, status: int = 400, slug: str = "bad-request") -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug


def problem_bytes(status: int, slug: str, detail: str, findings: tuple[str, ...] = ()) -> bytes:
    """An encoded problem document."""
    listed = {"findings": findings} if findings else {}
    return msgspec.json.encode(problem_document(status, slug, detail, **listed))


def problem_response(status: int, slug: str, detail: str, findings: tuple[str, ...] = ()) -> Response:
    """A response with a problem document."""
    headers = {"Retry-After": _RETRY_AFTER} if status in _TRY_AGAIN else None
    return Response(problem_bytes(status, slug, detail, findings), status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of this application a problem document."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def refusal(request: Request, error: Exception) -> Response:
    """The application's response to this error."""
    handler = next(_HANDLERS[kind] for kind in type(error).__mro__ if kind in _HANDLERS)
    return await handler(request, error)


async def _engine_error(_request: Request, error: Exception) -> Response:
    status, slug = _BY_ERROR[type(error)]
    return problem_response(status, slug, str(error), getattr(error, "findings", ()))


async def _journal_error(_request: Request, error: Exception) -> Response:
    status, slug = _BY_ERROR.get(type(error), (503, "journal-unavailable"))
    return problem_response(status, slug, str(error))


async def _bad_request(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequestError)
    return problem_response(error.status, error.slug, str(error))


async def _validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    findings = tuple(f"{'.'.join(str(part) for part in e['loc'][1:])}: {e['msg']}" for e in error.errors())
    return problem_response(422, "parameter-invalid", "; ".join(findings), findings)


async def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem_response(error.status_code, slug_of_status(error.status_code), str(error.detail))


async def _fault(_request: Request, error: Exception) -> Response:
    _log.error("a request failed because of a fault in the engine", error=repr(error), exc_info=error)
    return problem_response(500, "internal-error", "the engine failed to answer; its log says why")


_HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    EngineError: _engine_error,
    JournalError: _journal_error,
    BadRequestError: _bad_request,
    RequestValidationError: _validation_error,
    HTTPException: _http_error,
    Exception: _fault,
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its `responses`."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }
