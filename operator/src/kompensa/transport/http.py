"""Participants over HTTP/1.1 with JSON bodies.

One attempt a call: repeating is decided by the model, so that every repetition is journalled and bounded there. The
attempt's time-out covers connecting, sending and reading. Redirects are not followed: a POST that ends elsewhere than
declared is a configuration fault, not a reply. No compression is asked for and none undone: a small body must not
unfold into gigabytes.

The client is our own, on llhttp: why is told in docs/decisions/calling-participants.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from kompensa.model.outcomes import Outcome
from kompensa.model.requests import Request
from kompensa.transport.connection import Connection, ReplyTooLargeError, Response
from kompensa.transport.pool import Origin, Pool
from kompensa.transport.port import Participant, Reply
from kompensa.transport.replies import classify, classify_probe, not_sent, unanswered

REPLY_LIMIT = 1 << 20
# Shorter than the five seconds after which common servers close an idle connection: reusing one in the moment in
# which it is closed looks like a lost reply. A server may do so at any moment, hence `afresh` below.
_KEEP_ALIVE = 4.0
_DEFAULTS = {"User-Agent": "kompensa", "Accept": "*/*", "Accept-Encoding": "identity"}
# What frames a request is ours alone: two opinions about its length are how one request becomes two.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer"})
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~-._"

Classify = Callable[[Response], Reply]


class HttpTransport:
    """See `Transport`. One pool of connections for all participants."""

    def __init__(self) -> None:
        self._pool = Pool(keep=_KEEP_ALIVE, limit=REPLY_LIMIT)

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.call`."""

        def judge(response: Response) -> Reply:
            return classify(response.status, response.headers, response.body, request.direction, now=datetime.now(UTC))

        # What is left to a call that follows a lost one, or has no other to follow it, is not spent on a connection
        # that its server may be closing: as a time-out it would count, and undo a saga that nobody refused.
        afresh = request.attempt > 1 or request.only
        return await self._attempt(participant, saga_id, request, judge, afresh=afresh)

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.probe`."""

        def judge(response: Response) -> Reply:
            return classify_probe(response.status, response.headers, response.body, now=datetime.now(UTC))

        return await self._attempt(participant, saga_id, request, judge, afresh=True)  # it is asked once

    async def close(self) -> None:
        """See `Transport.close`."""
        self._pool.close()

    async def _attempt(
        self, participant: Participant, saga_id: str, request: Request, judge: Classify, *, afresh: bool
    ) -> Reply:
        try:
            address = _address(participant.endpoint.url)
            written = _written(address, request, _headers(participant, saga_id, request, address))
        except ValueError as error:
            # Nothing was sent, and nothing ever will be until somebody corrects it.
            return Reply(
                outcome=Outcome.MISCONFIGURED, reason="RequestMalformed", message=f"{participant.endpoint.url}: {error}"
            )
        deadline = asyncio.get_running_loop().time() + request.timeout
        try:
            connection = await self._connection(address.origin, deadline, afresh=afresh)
        except (OSError, ValueError) as error:
            return not_sent("Unreachable", f"{participant.endpoint}: {error or type(error).__name__}")
        try:
            response = await self._exchange(address.origin, connection, written, deadline)
        except TimeoutError:
            return unanswered("TimedOut", f"no reply from {participant.endpoint} within {request.timeout:g} s")
        except ReplyTooLargeError as error:
            return unanswered("ReplyTooLarge", str(error))
        except (OSError, ValueError) as error:
            return unanswered("ConnectionFailed", f"{participant.endpoint.url}: {error or type(error).__name__}")
        return judge(response)

    async def _connection(self, origin: Origin, deadline: float, *, afresh: bool) -> Connection:
        connection = self._pool.kept(origin)
        if connection is not None and afresh:
            connection.abort()  # the new one takes its place, so that repeating does not make them more
            connection = None
        return connection or await self._pool.made(origin, deadline=deadline)

    async def _exchange(self, origin: Origin, connection: Connection, written: bytes, deadline: float) -> Response:
        try:
            response = await connection.exchange(written, deadline=deadline)
        except BaseException:
            # Also when cancelled: the reply that is still to come would be taken for the next one's.
            connection.abort()
            raise
        self._pool.give_back(origin, connection)
        return response


class _Address(NamedTuple):
    """What a participant's URL comes to; there is no login in it, the model refuses one."""

    origin: Origin
    authority: str
    prefix: str


@lru_cache(maxsize=1024)
def _address(url: str) -> _Address:
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode("ascii")
    tls = parts.scheme == "https"
    authority = (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    prefix = quote(parts.path.rstrip("/"), safe=_SAFE_IN_PATH)
    return _Address(Origin(host, parts.port or (443 if tls else 80), tls), authority, prefix)


def _headers(participant: Participant, saga_id: str, request: Request, address: _Address) -> dict[str, str]:
    """The protocol's headers win: a definition cannot replace the idempotency key, in whatever case it writes it."""
    ours = {
        "Idempotency-Key": request.key,
        "Saga-Id": saga_id,
        "Saga-Step": request.step,
        "Saga-Direction": request.direction.value,
        "Saga-Attempt": str(request.attempt),
        "traceparent": traceparent(saga_id, request.key, request.attempt),
    }
    if request.message.body:
        ours["Content-Type"] = "application/json"
    if participant.token is not None:
        ours["Authorization"] = f"Bearer {participant.token}"
    defaults = {"Host": address.authority, **_DEFAULTS}
    if not request.message.headers:
        return defaults | ours
    taken = _FRAMING | {name.lower() for name in ours}
    theirs = {name: value for name, value in request.message.headers.items() if name.lower() not in taken}
    said = {name.lower() for name in theirs}
    return {name: value for name, value in defaults.items() if name.lower() not in said} | theirs | ours


def _written(address: _Address, request: Request, headers: dict[str, str]) -> bytes:
    """The request as it goes out. Raises ValueError where a line would become two."""
    lines = [f"{request.message.method} {address.prefix}{request.message.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if request.message.body or request.message.method not in ("GET", "DELETE"):
        lines.append(f"Content-Length: {len(request.message.body)}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
        raise ValueError("a header or the path has a line break; correct the definition or the token")
    return head.encode() + b"\r\n\r\n" + request.message.body


def traceparent(saga_id: str, key: str, attempt: int) -> str:
    """W3C trace context: one trace a saga whatever crashes, one span an attempt."""
    span = blake2b(f"{key}/{attempt}".encode(), digest_size=8).hexdigest()
    return f"00-{saga_id.replace('-', '')}-{span}-01"
