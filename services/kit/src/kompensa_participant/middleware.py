"""The layer around every request: context for logs, a log line, metrics, the last error net."""

from __future__ import annotations

import time

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kompensa_common.asgi import ObservedSend
from kompensa_participant import context, errors, metrics

log = structlog.get_logger()

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
        observed = ObservedSend(send)

        try:
            await self.app(scope, receive, observed)
        except Exception as error:
            if observed.status:
                raise  # half an answer is out: only cutting the connection shows the caller that it is not whole
            await errors.unexpected(error)(scope, receive, observed)
        finally:
            _report(scope, observed.status, time.perf_counter() - started)


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
