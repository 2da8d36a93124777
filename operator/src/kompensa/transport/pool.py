"""Connections that are kept for the next call, by where they lead."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial

from kompensa.transport.client import Origin
from kompensa.transport.connection import Connection
from kompensa.transport.resolver import Resolver


class Pool:
    """Lends connections, the one used last first, and closes those that nobody has used for `keep` seconds.

    How many there are at once is bounded by what the callers do at once.
    """

    def __init__(self, *, keep: float, limit: int, tls: ssl.SSLContext | None = None) -> None:
        self._keep = keep
        self._make = partial(Connection, limit=limit)
        self._idle: dict[Origin, list[tuple[float, Connection]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._tls = tls
        self._resolver = Resolver()

    def kept(self, origin: Origin) -> Connection | None:
        """A connection from an earlier call, if one is there."""
        oldest = asyncio.get_running_loop().time() - self._keep
        idle = self._idle.get(origin)
        while idle:
            since, connection = idle.pop()
            if connection.reusable and since > oldest:
                return connection
            connection.abort()
        return None

    async def made(self, origin: Origin, *, deadline: float) -> Connection:
        """A new connection, before `deadline` (the loop's time). Raises OSError, TimeoutError.

        A name's addresses are tried in their order; each has an equal share of the time that is left.
        """
        loop = asyncio.get_running_loop()
        failures: list[OSError] = []
        addresses = await self._addresses(origin, deadline)
        for address in addresses:
            share = (deadline - loop.time()) / (len(addresses) - len(failures))
            try:
                return await self._connected(origin, address, deadline=loop.time() + share)
            except OSError as error:
                failures.append(error)
        self._resolver.doubt(origin.host)
        raise failures[-1]

    async def _addresses(self, origin: Origin, deadline: float) -> tuple[str, ...]:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._resolver.addresses(origin.host)
        except TimeoutError as error:
            raise TimeoutError(f"no name server said where {origin.host} is") from error

    async def _connected(self, origin: Origin, address: str, *, deadline: float) -> Connection:
        tls, name = (self._context(), origin.host) if origin.tls else (None, None)
        async with asyncio.timeout_at(deadline):
            _, made = await asyncio.get_running_loop().create_connection(
                self._make, address, origin.port, ssl=tls, server_hostname=name
            )
        return made

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection whose exchange is over, if it can carry another."""
        if not connection.reusable:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        self._idle.setdefault(origin, []).append((loop.time(), connection))
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keep, self._sweep)

    def close(self) -> None:
        """Close what is idle."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for idle in self._idle.values():
            for _, connection in idle:
                connection.abort()
        self._idle.clear()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - self._keep
        for origin, idle in list(self._idle.items()):
            fresh = []
            for since, connection in idle:
                if connection.reusable and since > oldest:
                    fresh.append((since, connection))
                else:
                    connection.abort()
            if fresh:
                self._idle[origin] = fresh
            else:
                del self._idle[origin]
        self._sweeping = loop.call_later(self._keep, self._sweep) if self._idle else None

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
