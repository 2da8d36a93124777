"""Calls participants over HTTP/1.1 with JSON bodies.

- Each call is one attempt. The model decides about further attempts, so that they are journalled and limited.
- The time-out of an attempt covers connecting, sending and reading.
- Redirects are not followed. If a participant moved, its declaration has to be corrected.
- Compression is neither requested nor undone: a small body must not unfold into gigabytes.

docs/decisions/calling-participants.md says why there are two clients.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from kompensa.model.outcomes import Outcome
from kompensa.model.requests import Request
from kompensa.transport.client import HttpClient, NotSentError, Origin, Outgoing, ReplyTooLargeError, Response
from kompensa.transport.own_client import OwnClient
from kompensa.transport.port import Participant, Reply
from kompensa.transport.replies import classify, classify_probe, not_sent, unanswered

_DEFAULTS = {"User-Agent": "kompensa", "Accept": "*/*", "Accept-Encoding": "identity"}
# Only the client sets these. If a definition could set the length of a body too, one request could become two.
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "expect", "te", "trailer"})
_SAFE_IN_PATH = "/%:@!$&'()*+,;=~-._"

Classify = Callable[[Response], Reply]


class HttpTransport:
    """See `Transport`. One client serves all participants."""

    def __init__(self, client: HttpClient | None = None) -> None:
        self._client = client or OwnClient()

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.call`."""

        def judge(response: Response) -> Reply:
            return classify(response.status, response.headers, response.body, request.direction, now=datetime.now(UTC))

        # A server may be closing a kept connection at this moment. The first attempt takes this risk if another one
        # can follow. Otherwise the lost reply could make a saga turn back although no participant refused it.
        new = request.attempt > 1 or request.only
        return await self._attempt(participant, saga_id, request, judge, new_connection=new)

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        """See `Transport.probe`."""

        def judge(response: Response) -> Reply:
            return classify_probe(response.status, response.headers, response.body, now=datetime.now(UTC))

        return await self._attempt(participant, saga_id, request, judge, new_connection=True)  # a probe is sent once

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._client.close()

    async def _attempt(
        self, participant: Participant, saga_id: str, request: Request, judge: Classify, *, new_connection: bool
    ) -> Reply:
        endpoint = participant.endpoint
        try:
            outgoing = _outgoing(participant, saga_id, request, new_connection=new_connection)
        except ValueError as error:
            # Nothing can be sent until the URL, the definition or the token is corrected.
            return Reply(outcome=Outcome.MISCONFIGURED, reason="RequestMalformed", message=f"{endpoint}: {error}")
        try:
            response = await self._client.exchange(outgoing, timeout=request.timeout)
        except NotSentError as error:
            return not_sent("Unreachable", f"{endpoint}: {error}")
        except TimeoutError:
            return unanswered("TimedOut", f"no reply from {endpoint} within {request.timeout:g} s")
        except ReplyTooLargeError as error:
            return unanswered("ReplyTooLarge", str(error))
        except (OSError, ValueError) as error:
            return unanswered("ConnectionFailed", f"{endpoint}: {error or type(error).__name__}")
        return judge(response)


class _Address(NamedTuple):
    """A participant's URL in parts. It has no user or password, which the model rejects."""

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
    """All headers of a request. A definition cannot replace those of the protocol, in upper or lower case."""
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
    declared = {name.lower() for name in theirs}
    return {name: value for name, value in defaults.items() if name.lower() not in declared} | theirs | ours


def _outgoing(participant: Participant, saga_id: str, request: Request, *, new_connection: bool) -> Outgoing:
    """The request as the client sends it.

    Raises
    ------
    ValueError
        The path or a header contains a line break.
    """
    message = request.message
    address = _address(participant.endpoint.url)
    headers = _headers(participant, saga_id, request, address)
    target = address.prefix + message.path
    head = "".join((target, *headers, *headers.values()))
    if "\n" in head or "\r" in head:
        raise ValueError("a header or the path has a line break; correct the definition or the token")
    return Outgoing(address.origin, address.authority, message.method, target, headers, message.body, new_connection)


def traceparent(saga_id: str, key: str, attempt: int) -> str:
    """W3C trace context. Each saga has one trace, even across crashes, and each attempt one span (see `traces`)."""
    span = blake2b(f"{key}/{attempt}".encode(), digest_size=8).hexdigest()
    return f"00-{saga_id.replace('-', '')}-{span}-01"
