"""An HTTP client on aiohttp. Unlike `own_client`, it goes through proxies."""

from __future__ import annotations

import ssl
from functools import lru_cache
from socket import AF_INET, AF_INET6, AF_UNSPEC, AI_NUMERICHOST, AI_NUMERICSERV, AddressFamily
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from kompensa.transport.client import (
    KEEP_ALIVE,
    REPLY_LIMIT,
    NotSentError,
    Origin,
    Outgoing,
    ReplyTooLargeError,
    Response,
)
from kompensa.transport.resolver import Resolver

# The share of the time-out for connecting. It is less than the whole, so that a slow connection is reported as such.
_CONNECTING = 0.9
_NEVER_ROUNDED = 1e9


class AiohttpClient:
    """See `HttpClient`. `proxies`: use HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the environment."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, proxies: bool = False) -> None:
        self._tls = tls
        self._proxies = proxies
        self._resolver = _Names()
        self._kept: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    async def exchange(self, outgoing: Outgoing, *, timeout: float) -> Response:
        """See `HttpClient.exchange`."""
        try:
            async with self._session(new_connection=outgoing.new_connection).request(
                outgoing.method,
                _url(outgoing.origin.tls, outgoing.authority, outgoing.target),
                data=outgoing.body or None,
                headers=outgoing.headers,
                timeout=_timeout(timeout),
                proxy=_proxy(outgoing.origin) if self._proxies else None,
                allow_redirects=False,
            ) as response:
                return Response(response.status, response.headers, await _bounded(response))
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, aiohttp.ConnectionTimeoutError) as error:
            self._resolver.doubt(outgoing.origin.host)
            raise NotSentError(str(error) or type(error).__name__) from error
        except NotSentError:
            self._resolver.doubt(outgoing.origin.host)
            raise
        except TimeoutError:
            raise
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """See `HttpClient.close`."""
        for session in (self._kept, self._fresh):
            if session is not None:
                await session.close()

    def _session(self, *, new_connection: bool) -> aiohttp.ClientSession:
        if self._kept is None or self._fresh is None:
            self._kept, self._fresh = self._opened(force_close=False), self._opened(force_close=True)
        return self._fresh if new_connection else self._kept

    def _opened(self, *, force_close: bool) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                force_close=force_close,
                ssl=self._tls or True,
                resolver=self._resolver,
                use_dns_cache=False,
                keepalive_timeout=None if force_close else KEEP_ALIVE,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # no compression is requested, and a small body must not unfold into gigabytes
            middlewares=(_once,),
        )


class _Names(AbstractResolver):
    """Looks names up by `Resolver`, so that a name for which no name server answers does not delay other names."""

    def __init__(self) -> None:
        self._resolver = Resolver()

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC) -> list[ResolveResult]:
        """The addresses of a name, best first.

        Raises
        ------
        OSError
            The name is unknown, or no name server answered.
        """
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=AF_INET6 if ":" in address else AF_INET,
                proto=0,
                flags=AI_NUMERICHOST | AI_NUMERICSERV,
            )
            for address in await self._resolver.addresses(host)
        ]

    def doubt(self, host: str) -> None:
        """No connection was made: look the name up again at the next call."""
        self._resolver.doubt(host)

    async def close(self) -> None:
        """Nothing is kept open."""


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from repeating a PUT, DELETE or GET whose connection broke. The request may have had its effect."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorDNSError as error:
        raise NotSentError(str(error.os_error)) from error
    except aiohttp.ClientConnectorError as error:
        raise NotSentError(str(error)) from error
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise ConnectionError(str(error) or type(error).__name__) from error


@lru_cache(maxsize=4096)
def _url(tls: bool, authority: str, target: str) -> URL:
    return URL(f"http{'s' if tls else ''}://{authority}{target}", encoded=True)


@lru_cache(maxsize=1024)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, connect=seconds * _CONNECTING, ceil_threshold=_NEVER_ROUNDED)


@lru_cache(maxsize=1024)
def _proxy(origin: Origin) -> str | None:
    """The proxy by HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in upper or lower case. They are read at the first call."""
    if proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    return getproxies().get("https" if origin.tls else "http")


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    if response.content_length is not None and response.content_length > REPLY_LIMIT:
        raise ReplyTooLargeError(response.status, limit=REPLY_LIMIT)
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > REPLY_LIMIT:
            raise ReplyTooLargeError(response.status, limit=REPLY_LIMIT)
    return bytes(body)
