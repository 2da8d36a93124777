"""What `HttpTransport` needs of an HTTP client: one exchange, sent at most once.

There are two clients. `own_client` is the fast one. `aiohttp_client` also goes through proxies. The same tests hold
for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

REPLY_LIMIT = 1 << 20
# Seconds. Shorter than the five seconds after which common servers close an idle connection: reusing one in the moment
# in which it is closed looks like a lost reply. A server may do so at any moment, hence `Outgoing.afresh`.
KEEP_ALIVE = 4.0


class NotSentError(Exception):
    """No connection was made, so nothing of the request left this process."""


class ReplyTooLargeError(Exception):
    """The reply has more bytes than are read. A status of 0 means that not even its head ended."""

    def __init__(self, status: int, *, limit: int) -> None:
        what = f"a reply of status {status}" if status else "a reply whose head"
        super().__init__(f"{what} has more than {limit} bytes")


class Origin(NamedTuple):
    """Where a connection leads."""

    host: str
    port: int
    tls: bool


class Outgoing(NamedTuple):
    """A request. `target` is path and query as sent, `headers` include Host. `afresh`: on a new connection."""

    origin: Origin
    authority: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    afresh: bool


class Response(NamedTuple):
    """A whole reply; header names in Train-Case, in whatever case they came."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Protocol):
    """Carries requests. It follows no redirect, repeats nothing, and neither compresses nor decompresses."""

    async def exchange(self, outgoing: Outgoing, *, timeout: float) -> Response:
        """Send a request and return its reply within `timeout` seconds, which include connecting.

        Raises
        ------
        NotSentError
            Nothing of the request was sent: connection refused, name unknown, TLS handshake failed, no connection in
            time.
        TimeoutError
            The request may have been sent, but no whole reply came in time.
        ReplyTooLargeError
            The reply has more than `REPLY_LIMIT` bytes.
        OSError, ValueError
            The connection broke, or the reply is not HTTP.
        """
        ...

    async def close(self) -> None:
        """Close the connections that are kept."""
        ...
