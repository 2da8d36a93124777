"""The layer around every request: context for logs, a bound on the body, a log line, metrics, the last error net."""

from __future__ import annotations

import asyncio
import time

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompensa_participant import context, errors, metrics
from kompensa_participant.problem import Problem

log = structlog.get_logger()

BODY_LIMIT = 1024 * 1024
BODY_SECONDS = 10.0
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


class RequestEdge:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        _label_logs(context.enter(Headers(scope=scope)))
        started = time.perf_counter()
        status = 0  # until an answer has begun

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, observed)
        except Exception as error:
            if status:
                raise  # half an answer is out: only cutting the connection shows the caller that it is not whole
            await errors.unexpected(error)(scope, receive, observed)
        finally:
            _report(scope, status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body before the application does, so that no endpoint can be made to hold more than the limit."""
        try:
            body = await _body_in_time(Headers(scope=scope), receive)
        except Problem as problem:
            await errors.response(problem)(scope, receive, send)
            return
        if body is not None:
            await self.app(scope, _replayed(body, receive), send)


async def _body_in_time(headers: Headers, receive: Receive) -> bytes | None:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _body(headers, receive)
    except TimeoutError as error:
        raise Problem(408, "request-timeout", f"the body did not arrive within {BODY_SECONDS:.0f} s") from error


async def _body(headers: Headers, receive: Receive) -> bytes | None:
    """Return the whole body, None if the caller hung up. It is counted as it arrives, since Content-Length may lie."""
    declared = headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > BODY_LIMIT:
        raise _too_large()
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_LIMIT:
            raise _too_large()
    return bytes(body)


def _too_large() -> Problem:
    return Problem(413, "body-too-large", f"the body is larger than {BODY_LIMIT} bytes")


def _replayed(body: bytes, receive: Receive) -> Receive:
    delivered = False

    async def replay() -> Message:
        nonlocal delivered
        if delivered:
            return await receive()
        delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _label_logs(request: context.RequestContext) -> None:
    structlog.contextvars.clear_contextvars()
    labels = {"saga_id": request.saga_id and str(request.saga_id), "trace_id": request.trace_id}
    structlog.contextvars.bind_contextvars(**{name: value for name, value in labels.items() if value})


def _report(scope: Scope, status: int, seconds: float) -> None:
    path = getattr(scope.get("route"), "path", "unmatched")
    metrics.REQUESTS.labels(method=scope["method"], path=path, status=str(status or "none")).inc()
    metrics.DURATION.labels(method=scope["method"], path=path).observe(seconds)
    if scope["path"] not in QUIET_PATHS:
        log.info("request", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1000, 1))
