"""A fast HTTP client on llhttp. `connection` carries one exchange, `pool` keeps connections for the next one."""

from __future__ import annotations

import asyncio
import ssl

from kompensa.transport.client import KEEP_ALIVE, REPLY_LIMIT, NotSentError, Origin, Outgoing, Response
from kompensa.transport.connection import Connection
from kompensa.transport.pool import Pool


class OwnClient:
    """See `HttpClient`. It does not use proxies."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._pool = Pool(keep=KEEP_ALIVE, limit=REPLY_LIMIT, tls=tls)

    async def exchange(self, outgoing: Outgoing, *, timeout: float) -> Response:
        """See `HttpClient.exchange`."""
        deadline = asyncio.get_running_loop().time() + timeout
        origin = outgoing.origin
        try:
            connection = await self._connection(origin, deadline, new=outgoing.new_connection)
        except (OSError, ValueError) as error:
            raise NotSentError(str(error) or type(error).__name__) from error
        try:
            response = await connection.exchange(_written(outgoing), deadline=deadline)
        except BaseException:
            # CancelledError too: otherwise the next exchange would read the reply of this one.
            connection.abort()
            raise
        self._pool.give_back(origin, connection)
        return response

    async def close(self) -> None:
        """See `HttpClient.close`."""
        self._pool.close()

    async def _connection(self, origin: Origin, deadline: float, *, new: bool) -> Connection:
        connection = self._pool.kept(origin)
        if connection is not None and new:
            connection.abort()  # the new one replaces it, so that the pool does not grow with each retry
            connection = None
        return connection or await self._pool.made(origin, deadline=deadline)


def _written(outgoing: Outgoing) -> bytes:
    lines = [f"{outgoing.method} {outgoing.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in outgoing.headers.items()]
    if outgoing.body or outgoing.method not in ("GET", "DELETE"):
        lines.append(f"Content-Length: {len(outgoing.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + outgoing.body
