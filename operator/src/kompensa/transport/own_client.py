"""The client of our own, on llhttp: `connection` carries an exchange, `pool` keeps connections for the next one."""

from __future__ import annotations

import asyncio
import ssl

from kompensa.transport.client import KEEP_ALIVE, REPLY_LIMIT, NotSentError, Origin, Outgoing, Response
from kompensa.transport.connection import Connection
from kompensa.transport.pool import Pool


class OwnClient:
    """See `HttpClient`. It uses no proxy."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._pool = Pool(keep=KEEP_ALIVE, limit=REPLY_LIMIT, tls=tls)

    async def exchange(self, outgoing: Outgoing, *, timeout: float) -> Response:
        """See `HttpClient.exchange`."""
        deadline = asyncio.get_running_loop().time() + timeout
        origin = outgoing.origin
        try:
            connection = await self._connection(origin, deadline, afresh=outgoing.afresh)
        except (OSError, ValueError) as error:
            raise NotSentError(str(error) or type(error).__name__) from error
        try:
            response = await connection.exchange(_written(outgoing), deadline=deadline)
        except BaseException:
            # Also when cancelled: the reply that is still to come would be taken for the next one's.
            connection.abort()
            raise
        self._pool.give_back(origin, connection)
        return response

    async def close(self) -> None:
        """See `HttpClient.close`."""
        self._pool.close()

    async def _connection(self, origin: Origin, deadline: float, *, afresh: bool) -> Connection:
        connection = self._pool.kept(origin)
        if connection is not None and afresh:
            connection.abort()  # the new one takes its place, so that repeating does not make them more
            connection = None
        return connection or await self._pool.made(origin, deadline=deadline)


def _written(outgoing: Outgoing) -> bytes:
    lines = [f"{outgoing.method} {outgoing.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in outgoing.headers.items()]
    if outgoing.body or outgoing.method not in ("GET", "DELETE"):
        lines.append(f"Content-Length: {len(outgoing.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + outgoing.body
