"""The shop's services over HTTP, as the demo's audience could call them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from kompensa_dev.demo.checks import CheckFailedError

REQUEST_SECONDS = 10.0
NOT_FOUND = 404


class ShopClient:
    """Calls by name of service; what is not a success ends the demo with the problem's own words."""

    def __init__(self, session: aiohttp.ClientSession, urls: Mapping[str, str], tokens: Mapping[str, str]) -> None:
        self._session = session
        self._tokens = tokens
        self.urls = urls

    @classmethod
    @asynccontextmanager
    async def connect(cls, urls: Mapping[str, str], tokens: Mapping[str, str]) -> AsyncIterator[Self]:
        """Call the services at these URLs, with these tokens if they check their callers; both by name of service."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS)) as session:
            yield cls(session, urls, tokens)

    async def get(self, service: str, path: str) -> dict[str, Any] | None:
        """The body, or None when there is no such thing."""
        status, body = await self._call(service, "GET", path, None)
        if status == NOT_FOUND:
            return None
        return _success(f"GET {path}", service, status, body)

    async def send(self, service: str, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        status, reply = await self._call(service, method, path, body)
        return _success(f"{method} {path}", service, status, reply)

    async def _call(self, service: str, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, Any]:
        token = self._tokens.get(service)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.request(method, self.urls[service] + path, json=body, headers=headers) as reply:
                return reply.status, await reply.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CheckFailedError(f"{service} at {self.urls[service]} was expected to answer: {error}") from None


def _success(request: str, service: str, status: int, body: Any) -> dict[str, Any]:
    if status >= 300:
        detail = body.get("detail", body) if isinstance(body, dict) else body
        raise CheckFailedError(f"{service}: {request} was expected to succeed; it answered {status}: {detail}")
    return body if isinstance(body, dict) else {"items": body}
