"""The layer that reads a request's body before the application does, within bounds of size and time."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompensa_participant import errors
from kompensa_participant.problem import Problem

BODY_LIMIT = 1024 * 1024
BODY_SECONDS = 10.0


class BodyLimit:
    """The innermost layer, so that a caller that may not use the route is answered before its body is read.

    It holds the whole body: no endpoint can be made to hold more than the limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await _body_in_time(Headers(scope=scope), receive)
        except Problem as problem:
            await errors.response(problem)(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replayed(body, receive), send)


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
