"""The interface of an HTTP client: one exchange, sent at most once.

There are two clients. `own_client` is the fast one. `aiohttp_client` also goes through proxies. Both pass the same
tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

REPLY_LIMIT = 1 << 20
# Seconds. Common servers close an idle connection after five seconds. If the client reuses one at that moment, the
# failure looks like a lost reply. `Outgoing.new_connection` avoids this if a server closes connections earlier.
KEEP_ALIVE = 4.0


class NotSentError(Exception):
    """No connection was made, so nothing of the request left this process."""


class ReplyTooLargeError(Exception):
    """The reply is larger than `limit` bytes. A status of 0 means that even its head is too large."""

    def __init__(self, status: int, *, limit: int) -> None:
        what = f"a reply of status {status}" if status else "a reply whose head"
        super().__init__(f"{what} has more than {limit} bytes")


class Origin(NamedTuple):
    """The server at the other end of a connection."""

    host: str
    port: int
    tls: bool


class Outgoing(NamedTuple):
    """A request.

    Attributes
    ----------
    authority
        The host, with the port if it is not the scheme's own.
    target
        Path and query as sent.
    headers
        All headers, including Host, except those for the length of the body.
    new_connection
        Do not reuse a connection.
    """

    origin: Origin
    authority: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    new_connection: bool


class Response(NamedTuple):
    """A complete reply. Header names are in Train-Case, whatever case the server used."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpClient(Protocol):
    """Sends requests. It does not follow redirects, repeat, compress or decompress."""

    async def exchange(self, outgoing: Outgoing, *, timeout: float) -> Response:
        """Send a request and return its reply within `timeout` seconds, which include connecting.

        Raises
        ------
        NotSentError
            Nothing of the request was sent: connection refused, name unknown, TLS handshake failed, no connection in
            time.
        TimeoutError
            The request may have been sent, but no complete reply came in time.
        ReplyTooLargeError
            The reply has more than `REPLY_LIMIT` bytes.
        OSError, ValueError
            The connection broke, or the reply is not HTTP.
        """
        ...

    async def close(self) -> None:
        """Close the connections that are kept."""
        ...
