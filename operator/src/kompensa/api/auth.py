"""Checks the token and the size of each request before it reaches a route.

This is plain ASGI, since every request pays for it. The size is checked while the body arrives, so a body that is too
large is never in memory as a whole.
"""

from __future__ import annotations

import hmac
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kompensa.api import docs
from kompensa.api.problems import STATUS_OF, BadRequestError, problem_bytes
from kompensa_common.problems import MEDIA_TYPE

BODY_LIMIT = 1 << 20
TOO_LARGE = f"the request has more than {BODY_LIMIT} bytes; pass a reference to what is large"
# Kubernetes and Prometheus send no token, and the documentation is not secret.
_OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/openapi.json"}) | docs.PATHS


class Authentication:
    """Admits requests with the token and a body within the limit. The scheme may be in any case (RFC 9110)."""

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._expected = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if not self._has_token(scope, headers):
            detail = "send the token of KOMPENSA_API_TOKEN as 'Authorization: Bearer <token>'"
            await _refuse(send, "unauthorized", detail)
        elif int(headers.get(b"content-length", b"0") or 0) > BODY_LIMIT:
            await _refuse(send, "body-too-large", TOO_LARGE)
        else:
            await self._app(scope, _bounded(receive), send)

    def _has_token(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        if self._expected is None or scope["path"] in _OPEN:
            return True
        scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(shown.strip(b" "), self._expected)


def _bounded(receive: Receive) -> Receive:
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > BODY_LIMIT:
            raise BadRequestError("body-too-large", TOO_LARGE)
        return message

    return limited


async def _refuse(send: Send, slug: str, detail: str) -> None:
    status, body = STATUS_OF[slug], problem_bytes(slug, detail)
    headers: list[tuple[bytes, Any]] = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
