"""The way past the framework's layers for the one request that every saga over HTTP makes: its start.

FastAPI's middleware and routing cost a start a tenth of the engine's processor time and change nothing about it. The
route is declared there all the same: that is where its documentation comes from, and it is the same function.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from kompensa.api.problems import refusal

Start = Callable[[Request], Awaitable[Response]]


class Shortcut:
    """Calls `start` for `POST /v1/namespaces/{namespace}/sagas`, and the application for everything else."""

    def __init__(self, app: ASGIApp, start: Start) -> None:
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
