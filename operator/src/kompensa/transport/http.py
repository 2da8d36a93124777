"""Participants over HTTP/1.1 with JSON bodies.

One attempt a call: repeating is decided by the model, so that every repetition is journalled and bounded there. The
attempt's time-out covers connecting, sending and reading. Redirects are not followed: a POST that ends elsewhere than
declared is a configuration fault, not a reply.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

import aiohttp
from yarl import URL

from kompensa.model.requests import Request
from kompensa.transport.port import Participant, Reply
from kompensa.transport.replies import classify, classify_probe, unanswered

REPLY_LIMIT = 1 << 20
# Shorter than the five seconds after which common servers close an idle connection: reusing one in the moment in
# which it is closed looks like a lost reply.
_KEEP_ALIVE = 4.0
# Said, not left to aiohttp: leaving its own headers out costs it a copy of all the others at each call.
_ALWAYS = {"User-Agent": "kompensa", "Accept-Encoding": "identity"}
# The client says how long a request is: a second opinion about that is how one request becomes two.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

Classify = Callable[[aiohttp.ClientResponse, bytes], Reply]


class HttpTransport:
    """See `Transport`. One connection pool for all participants."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.call`."""

        def judge(response: aiohttp.ClientResponse, body: bytes) -> Reply:
            return classify(response.status, response.headers, body, request.direction, now=datetime.now(UTC))

        return await self._attempt(participant, saga_id, request, judge)

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.probe`."""

        def judge(response: aiohttp.ClientResponse, body: bytes) -> Reply:
            return classify_probe(response.status, response.headers, body, now=datetime.now(UTC))

        return await self._attempt(participant, saga_id, request, judge)

    async def close(self) -> None:
        """See `Transport.close`."""
        if self._session is not None:
            await self._session.close()

    async def _attempt(self, participant: Participant, saga_id: str, request: Request, judge: Classify) -> Reply:
        try:
            async with self._opened().request(
                request.method,
                _url(participant.url, request.path),
                data=request.body or None,
                headers=_headers(participant, saga_id, request),
                timeout=_timeout(request.timeout),
                allow_redirects=False,
            ) as response:
                body = await _bounded(response)
                if body is None:
                    return unanswered("ReplyTooLarge", f"{response.status} with more than {REPLY_LIMIT} bytes")
                return judge(response, body)
        except TimeoutError:
            return unanswered("TimedOut", f"no reply from {participant.url} within {request.timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return unanswered("ConnectionFailed", f"{participant.url}: {error or type(error).__name__}")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_ALWAYS,
                auto_decompress=False,  # we ask for none, and a small body must not unfold into gigabytes
                middlewares=(_once,),
            )
        return self._session


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a PUT, DELETE or GET again when its connection breaks: it may have had its effect."""
    try:
        return await send(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error) or type(error).__name__) from error


@lru_cache(maxsize=4096)
def _url(base: str, path: str) -> URL:
    return URL(base.rstrip("/") + path, encoded=True)


@lru_cache(maxsize=1024)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)


def _headers(participant: Participant, saga_id: str, request: Request) -> dict[str, str]:
    """The protocol's headers last: a definition cannot replace the idempotency key."""
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _FRAMING}
    if request.body:
        headers["Content-Type"] = "application/json"
    headers["Idempotency-Key"] = request.key
    headers["Saga-Id"] = saga_id
    headers["Saga-Step"] = request.step
    headers["Saga-Direction"] = request.direction.value
    headers["Saga-Attempt"] = str(request.attempt)
    headers["traceparent"] = traceparent(saga_id, request.key, request.attempt)
    if participant.token is not None:
        headers["Authorization"] = f"Bearer {participant.token}"
    return headers


def traceparent(saga_id: str, key: str, attempt: int) -> str:
    """W3C trace context: one trace a saga whatever crashes, one span an attempt."""
    span = blake2b(f"{key}/{attempt}".encode(), digest_size=8).hexdigest()
    return f"00-{saga_id.replace('-', '')}-{span}-01"


async def _bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, or None when it is longer than the limit."""
    length = response.content_length
    if length is not None and length <= REPLY_LIMIT:
        return await response.read()
    if length is not None:
        return None
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > REPLY_LIMIT:
            return None
    return bytes(body)
