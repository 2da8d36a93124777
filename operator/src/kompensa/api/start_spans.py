"""A span for each request that starts a saga. It belongs to the saga's trace, and links to the caller's."""

from __future__ import annotations

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from kompensa.api.sagas import SAGA_ID
from kompensa.api.shortcut import namespace_of_start
from kompensa.transport.traces import saga_context
from kompensa_common.asgi import ObservedSend
from kompensa_common.tracing import Span, Spans, TraceContext


class StartSpans:
    """Records the start of a saga. A request that is rejected is in its caller's trace, because it has no saga."""

    def __init__(self, app: ASGIApp, *, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if namespace_of_start(scope) is None:
            await self._app(scope, receive, send)
            return
        observed = ObservedSend(send)
        began = time.time()

        try:
            await self._app(scope, receive, observed)
        finally:
            self._spans.record(_span(scope, observed.status, began))


def _span(scope: Scope, status: int, began: float) -> Span:
    route = "/v1/namespaces/{namespace}/sagas"
    caller = TraceContext.read(Headers(scope=scope).get("traceparent"))
    saga_id = scope.get(SAGA_ID)
    parent = saga_context(saga_id) if saga_id else caller
    return Span(
        name=f"POST {route}",
        kind="server",
        context=TraceContext.below(parent),
        parent=parent,
        began=began,
        ended=time.time(),
        attributes={"http.request.method": "POST", "http.route": route, "http.response.status_code": status},
        error=None if 200 <= status < 500 else str(status or "no answer"),
        link=caller if saga_id else None,
    )
