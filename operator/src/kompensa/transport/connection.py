"""One HTTP/1.1 connection to a participant. It sends a request and reads the reply, and may then be used again.

llhttp (by httptools) parses the replies. After any error the connection is closed. Otherwise the rest of a half-read
reply could be read as the beginning of the next one.
"""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from kompensa.transport.client import ReplyTooLargeError, Response

_NO_BODY = frozenset({204, 304})


class Connection(asyncio.Protocol):
    """Carries one exchange at a time. `limit` is the largest body of a reply, and also its largest head."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._clear()
        self.reusable = False
        """The last exchange is complete, and the participant allows another one."""

    async def exchange(self, request: bytes, *, deadline: float) -> Response:
        """Send a request and return its reply, both before `deadline` (the loop's time).

        Raises
        ------
        OSError
            The connection broke, or the reply is not HTTP.
        TimeoutError
            The deadline passed.
        ReplyTooLargeError
            The reply is larger than the limit.
        """
        if self._transport is None:
            raise ConnectionResetError("the connection was closed")
        self.reusable = False
        self._clear()
        loop = asyncio.get_running_loop()
        self._answer = loop.create_future()
        expiry = loop.call_at(deadline, self._expire)  # at a third of what asyncio.timeout costs
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            expiry.cancel()
            self._answer = None

    def abort(self) -> None:
        """Close the connection immediately. An exchange under way fails."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._parser is None or not self._asked:
            self.abort()  # data without a request, for example a 408 before the server closes the connection
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"the reply is not HTTP: {error}"))
        except httptools.HttpParserUpgrade:
            self._fail(ConnectionError(f"{self._status}: it switches to a protocol that was not requested"))
        if self._read > 2 * self._limit:
            self._fail(ReplyTooLargeError(self._status, limit=self._limit))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._until_close and exc is None:
            self._settle()
        self._fail(exc or ConnectionResetError("the connection was closed before the reply was complete"))
        self.reusable = False
        self._transport = None
        self._parser = None  # the parser and this object refer to each other

    def on_message_begin(self) -> None:
        """Parser: a reply starts. A second one belongs to no request."""
        if self._asked:
            self._clear()
        else:
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a header, or a trailer."""
        self._headers[name.decode("latin-1").title()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Parser: the body follows."""
        assert self._parser is not None
        self._status = self._parser.get_status_code()
        length = self._headers.get("Content-Length")
        if length is not None and int(length) > self._limit:
            self._fail(ReplyTooLargeError(self._status, limit=self._limit))
        unframed = length is None and "chunked" not in self._headers.get("Transfer-Encoding", "").lower()
        self._until_close = unframed and self._status >= 200 and self._status not in _NO_BODY

    def on_body(self, body: bytes) -> None:
        """Parser: a piece of the body."""
        self._body += body
        if len(self._body) > self._limit:
            self._fail(ReplyTooLargeError(self._status, limit=self._limit))

    def on_message_complete(self) -> None:
        """Parser: the reply is complete. After an interim one (100, 103) the real one follows."""
        assert self._parser is not None
        if self._status >= 200 and self._asked:
            self.reusable = self._parser.should_keep_alive()
            self._settle()

    @property
    def _asked(self) -> bool:
        return self._answer is not None and not self._answer.done()

    def _clear(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = b""
        self._read = 0
        self._until_close = False

    def _expire(self) -> None:
        self._fail(TimeoutError())

    def _settle(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Response(self._status, self._headers, self._body))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
            self.abort()
