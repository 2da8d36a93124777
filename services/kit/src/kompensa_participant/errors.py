"""Turns every way in which a request can fail into a problem+json answer.

A database that is down, busy or out of connections is 503 with Retry-After: nothing was kept, ask again. A value that
the database cannot hold is 422, a change that breaks one of its constraints 409: they never will be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg import DataError, IntegrityError, InterfaceError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from starlette.exceptions import HTTPException

from kompensa_participant.problem import MEDIA_TYPE, Problem

log = structlog.get_logger()

ERRORS_SHOWN = 10
DATABASE_FAILURES = (OperationalError, InterfaceError, ReadOnlySqlTransaction)
"""The pool's own errors (no connection in time, too many waiting) are OperationalErrors."""


def install(app: FastAPI) -> None:
    """Answer every foreseen error of the application as a problem; what nobody foresaw is the middleware's."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for failure in DATABASE_FAILURES:
        app.add_exception_handler(failure, _database_unavailable)
    for unfit in (DataError, UnicodeEncodeError):
        app.add_exception_handler(unfit, _unfit)
    app.add_exception_handler(IntegrityError, _constraint_broken)


def response(problem: Problem) -> JSONResponse:
    """The answer that tells a problem."""
    return JSONResponse(problem.body(), problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def unexpected(error: Exception) -> JSONResponse:
    """The answer to what nobody foresaw; the log has the traceback, under the saga's and the trace's id."""
    log.error("unexpected error", exc_info=error)
    return response(Problem(500, "internal-error", "an unexpected error; the service's log tells more"))


async def _problem(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    return response(error)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    slug = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
    return response(Problem(error.status_code, slug, str(error.detail), headers=error.headers))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """422: for a saga that is a refusal, and rightly so, since the same body will never fit."""
    assert isinstance(error, RequestValidationError)
    fields = [_field(e) for e in error.errors()[:ERRORS_SHOWN]]
    detail = "; ".join(f"{field['field']}: {field['message']}" for field in fields)
    return response(Problem(422, "request-invalid", detail, members={"errors": fields}))


def _field(error: Mapping[str, Any]) -> dict[str, str]:
    place = ".".join(str(part) for part in error["loc"] if part != "body") or "body"
    return {"field": place, "message": error["msg"].removeprefix("Value error, ")}


async def _database_unavailable(request: Request, error: Exception) -> JSONResponse:
    log.warning("database unavailable", path=request.url.path, error=type(error).__name__)
    detail = "the service's database cannot be used now; nothing was kept, ask again"
    return response(Problem(503, "database-unavailable", detail, headers={"Retry-After": "1"}))


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    """E.g. a NUL character, or a number that is too large for its column."""
    log.warning("value does not fit", path=request.url.path, error=str(error))
    return response(Problem(422, "request-invalid", "the request has a value that cannot be stored"))


async def _constraint_broken(request: Request, error: Exception) -> JSONResponse:
    """The net below a service's own checks, e.g. against a second reservation for the same saga."""
    assert isinstance(error, IntegrityError)
    name = error.diag.constraint_name or error.diag.column_name
    log.warning("constraint broken", path=request.url.path, constraint=name)
    return response(Problem(409, "constraint-broken", f"the change breaks {name}; nothing was kept"))
