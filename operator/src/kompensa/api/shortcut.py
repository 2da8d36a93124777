"""The way past the framework's routing for the one request that every saga over HTTP makes: its start.

FastAPI's routing and its resolving of parameters cost a start 60 microseconds of the engine's processor time, of about
1,000 a saga. The route is declared there all the same, for its documentation, with the same function. This is the
innermost middleware, so all others cover the start too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kompensa.api.problems import refusal

Start = Callable[[Request], Awaitable[Response]]


class Shortcut:
    """Middleware: `POST /v1/namespaces/{namespace}/sagas` goes to `start`, everything else to the application."""

    def __init__(self, app: ASGIApp, *, start: Start) -> None:
        self._app = app
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        namespace = _namespace_of_start(scope)
        if namespace is None:
            await self._app(scope, receive, send)
            return
        scope["path_params"] = {"namespace": namespace}
        try:
            response = await self._start(Request(scope, receive))
        except Exception as error:
            response = await refusal(Request(scope), error)
        await response(scope, receive, send)


def _namespace_of_start(scope: Scope) -> str | None:
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    match scope["path"].split("/"):
        case ["", "v1", "namespaces", namespace, "sagas"] if namespace:
            return str(namespace)
    return None
