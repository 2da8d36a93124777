"""Keeps connections to each server for the next call."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial

from kompensa.transport.client import Origin
from kompensa.transport.connection import Connection
from kompensa.transport.resolver import Resolver


class Pool:
    """Lends connections, the last used first, and closes those that were idle for `keep` seconds.

    The pool has no limit of its own. It has at most as many connections as there were calls at the same time.
    """

    def __init__(self, *, keep: float, limit: int, tls: ssl.SSLContext | None = None) -> None:
        self._keep = keep
        self._make = partial(Connection, limit=limit)
        self._idle: dict[Origin, list[tuple[float, Connection]]] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._tls = tls
        self._resolver = Resolver()

    def kept(self, origin: Origin) -> Connection | None:
        """A connection from an earlier call, if there is one."""
        oldest = asyncio.get_running_loop().time() - self._keep
        idle = self._idle.get(origin)
        while idle:
            since, connection = idle.pop()
            if connection.reusable and since > oldest:
                return connection
            connection.abort()
        return None

    async def made(self, origin: Origin, *, deadline: float) -> Connection:
        """A new connection, made before `deadline` (the loop's time).

        The addresses of a name are tried in order. Each gets an equal share of the time that is left.

        Raises
        ------
        OSError, TimeoutError
            No address could be connected to.
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
            raise TimeoutError(f"{origin.host} cannot be resolved: no name server answered in time") from error

    async def _connected(self, origin: Origin, address: str, *, deadline: float) -> Connection:
        tls, name = (self._context(), origin.host) if origin.tls else (None, None)
        async with asyncio.timeout_at(deadline):
            _, made = await asyncio.get_running_loop().create_connection(
                self._make, address, origin.port, ssl=tls, server_hostname=name
            )
        return made

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection after its exchange if it can carry another one. Otherwise close it."""
        if not connection.reusable:
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        self._idle.setdefault(origin, []).append((loop.time(), connection))
        if self._sweeping is None:
            self._sweeping = loop.call_later(self._keep, self._sweep)

    def close(self) -> None:
        """Close all idle connections."""
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
