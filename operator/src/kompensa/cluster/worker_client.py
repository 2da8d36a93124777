"""Asking a Replica's worker how it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import msgspec

from kompensa_common.addresses import without_login


class WorkerUnreachableError(Exception):
    """No usable answer: the worker is starting, gone, or not to be reached from here."""


class WorkerClient:
    """GET /status of workers whose address follows from `url` by filling in {name} and {namespace}."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, *, timeout: float = 3.0) -> AsyncIterator[Self]:
        address, login = without_login(url)
        async with aiohttp.ClientSession(headers=login, timeout=aiohttp.ClientTimeout(total=timeout)) as session:
            yield cls(session, address)

    async def status(self, namespace: str, name: str) -> dict[str, Any]:
        """The worker's own words.

        Raises
        ------
        WorkerUnreachableError
            Naming the address that was asked.
        """
        address = f"{self._address.format(name=name, namespace=namespace)}/status"
        try:
            async with self._session.get(address, allow_redirects=False) as response:
                raw = await response.read()
                if response.status != 200:
                    raise WorkerUnreachableError(f"{address} answers {response.status}")
        except TimeoutError as error:
            raise WorkerUnreachableError(f"{address} does not answer in time") from error
        except aiohttp.ClientError as error:
            raise WorkerUnreachableError(f"{address} cannot be reached: {error}") from error
        try:
            return msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise WorkerUnreachableError(f"{address} answers something else than JSON") from error
