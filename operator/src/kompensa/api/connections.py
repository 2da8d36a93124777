"""Closes a connection on which a request is not complete after `REQUEST_TIMEOUT` seconds.

Otherwise a client that sends half a head, or a body byte by byte, could hold connections forever. It would not even
need a token, which is checked only when the head is complete. uvicorn by itself closes connections only while they are
idle between requests.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_TIMEOUT = 20.0


class PromptConnection(HttpToolsProtocol):
    """The time counts from the start of the connection for its first request, and then from a request's first byte."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_request()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._expect_nothing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._expect_nothing()
        self._late = self.loop.call_later(REQUEST_TIMEOUT, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
