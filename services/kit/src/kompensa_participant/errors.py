"""Turns every way in which a request can fail into a problem+json answer.

A database that is down, busy or out of connections is 503 with Retry-After: nothing was kept, ask again. A value that
the database cannot hold is 422, a change that breaks one of its constraints 409: they never will be kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json import JSONDecodeError
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg import IntegrityError, InterfaceError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from starlette.exceptions import HTTPException

from kompensa_common.problems import MEDIA_TYPE, slug_of_status
from kompensa_participant.problem import Problem
from kompensa_participant.refusals import DATABASE_REFUSALS, constraint_broken, unfit

log = structlog.get_logger()

ERRORS_SHOWN = 10
DATABASE_FAILURES = (OperationalError, InterfaceError, ReadOnlySqlTransaction)
"""The pool's own errors (no connection in time, too many waiting) are OperationalErrors."""
NOT_PARSED = "There was an error parsing the body"
"""FastAPI's text, with 400, if reading the body as JSON failed by another error than JSONDecodeError."""


def install(app: FastAPI) -> None:
    """Answer every expected error of the application as a problem; the middleware answers the others."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for failure in DATABASE_FAILURES:
        app.add_exception_handler(failure, _database_unavailable)
    for refusal in DATABASE_REFUSALS:
        app.add_exception_handler(refusal, _database_refused)


def response(problem: Problem) -> JSONResponse:
    """Return the response for a problem."""
    return JSONResponse(problem.body(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def unexpected(error: Exception) -> JSONResponse:
    """Return the response for an unexpected error; the log has its traceback, with the ids of saga and trace."""
    log.error("unexpected error", exc_info=error)
    return response(Problem(500, "internal-error", "an unexpected error; see the service's log"))


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return response(error)


def not_json(cause: BaseException) -> Problem:
    """The problem (422) of a body that cannot be read as JSON, from the error that reading it raised.

    For a saga a refusal, and rightly so: the same body will never be read.
    """
    match cause:
        case JSONDecodeError():
            message = f"not valid JSON at character {cause.pos}"
        case UnicodeDecodeError():
            message = f"not valid JSON at byte {cause.start}: not UTF-8"
        case RecursionError():
            message = "not valid JSON: nested too deeply"
        case _:
            message = "not valid JSON: a number has too many digits"
    return _request_invalid([{"field": "body", "message": message}])


def not_said_to_be_json() -> Problem:
    """The problem (415) of a body whose Content-Type is missing or another than JSON's."""
    return Problem(415, "unsupported-media-type", "send the body as JSON, with Content-Type: application/json")


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.detail == NOT_PARSED and isinstance(error.__cause__, ValueError | RecursionError):
        return response(not_json(error.__cause__))
    slug = slug_of_status(error.status_code)
    return response(Problem(error.status_code, slug, str(error.detail), headers=error.headers))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """422: for a saga that is a refusal, and rightly so, since the same body will never fit."""
    assert isinstance(error, RequestValidationError)
    # FastAPI leaves a body as bytes where the Content-Type does not say JSON.
    if isinstance(error.body, bytes) and any(e["loc"][0] == "body" for e in error.errors()):
        return response(not_said_to_be_json())
    if isinstance(error.__cause__, JSONDecodeError):
        return response(not_json(error.__cause__))
    return response(_request_invalid([_field(e) for e in error.errors()[:ERRORS_SHOWN]]))


def _request_invalid(fields: Sequence[Mapping[str, str]]) -> Problem:
    detail = "; ".join(f"{field['field']}: {field['message']}" for field in fields)
    return Problem(422, "request-invalid", detail, members={"errors": fields})


def _field(error: Mapping[str, Any]) -> dict[str, str]:
    place = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
    return {"field": place, "message": error["msg"].removeprefix("Value error, ")}


async def _database_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("database unavailable", path=request.url.path, error=type(error).__name__)
    detail = "the service's database cannot be used now; nothing was kept, ask again"
    return response(Problem(503, "database-unavailable", detail, headers={"Retry-After": "1"}))


async def _database_refused(request: Request, error: Exception) -> JSONResponse:
    """Outside a saga, and for a compensation: what an action is refused, the barrier has kept by now."""
    if isinstance(error, IntegrityError):
        problem = constraint_broken(error)
        log.warning("constraint broken", path=request.url.path, reason=problem.detail)
        return response(problem)
    log.warning("value does not fit", path=request.url.path, error=str(error))
    return response(unfit())
