"""A span for each request: below that of its caller, and above those of the events that the request publishes."""

from __future__ import annotations

import time
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kompensa_common.asgi import ObservedSend
from kompensa_common.tracing import Span, Spans, TraceContext
from kompensa_participant.middleware import QUIET_PATHS


class ServerSpans:
    """The outermost layer, if spans are sent. It puts its own `traceparent` in place of the caller's.

    So the logs, the outbox and with it the consumers of events know the request's span without knowing of this layer.
    """

    def __init__(self, app: ASGIApp, *, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in QUIET_PATHS:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        parent = TraceContext.read(headers.get("traceparent"))
        context = TraceContext.below(parent)
        others = [(name, value) for name, value in scope["headers"] if name != b"traceparent"]
        scope["headers"] = [*others, (b"traceparent", context.traceparent.encode())]
        observed = ObservedSend(send)
        began = time.time()

        try:
            await self._app(scope, receive, observed)
        finally:
            self._spans.record(_span(scope, headers, observed.status, context=context, parent=parent, began=began))


def _span(
    scope: Scope, headers: Headers, status: int, *, context: TraceContext, parent: TraceContext | None, began: float
) -> Span:
    path = getattr(scope.get("route"), "path", "unmatched")
    attributes = {"http.request.method": scope["method"], "http.route": path, "http.response.status_code": status}
    if saga := headers.get("saga-id"):
        attributes |= {"kompensa.saga.id": saga, "kompensa.saga.step": headers.get("saga-step", "")}
    return Span(
        name=f"{scope['method']} {path}",
        kind="server",
        context=context,
        parent=parent,
        began=began,
        ended=time.time(),
        attributes=attributes,
        error=None if 0 < status < HTTPStatus.INTERNAL_SERVER_ERROR else str(status or "no answer"),
    )
