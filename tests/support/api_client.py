"""Asking the engine's API as a program does, without a socket between.

Every response is compared with the OpenAPI document, so each test of the API also tests the document.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import httpx

from kompensa.api.app import application
from tests.support.engine_world import NAMESPACE, EngineWorld
from tests.support.openapi import Contract

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Api:
    """The API of a world's first engine."""

    world: EngineWorld
    client: httpx.AsyncClient

    @classmethod
    @asynccontextmanager
    async def of(cls, world: EngineWorld, *, token: str | None = None) -> AsyncIterator[Self]:
        app = application(world.first, token=token, spans=world.spans)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=300) as client:
            contract = await _contract(client)

            async def compared(response: httpx.Response) -> None:
                await response.aread()
                broken = contract.broken_by(response)
                assert broken is None, broken

            client.event_hooks["response"].append(compared)
            yield cls(world, client)

    async def start(self, *, wait: str | None = None, **body: Any) -> httpx.Response:
        """POST .../sagas of the definition `order`, unless the body names another."""
        query = {} if wait is None else {"wait": wait}
        return await self.client.post(
            f"/v1/namespaces/{NAMESPACE}/sagas", params=query, json={"definition": "order", **body}
        )

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query)

    async def post(self, path: str, body: Any = None) -> httpx.Response:
        return await self.client.post(path, json=body)


_contracts: list[Contract] = []
"""At most one: the document is the same for every engine, and takes a while to make."""


async def _contract(client: httpx.AsyncClient) -> Contract:
    if not _contracts:
        _contracts.append(Contract((await client.get("/openapi.json")).json()))
    return _contracts[0]


def slug(response: httpx.Response) -> tuple[int, str]:
    """Status and slug of a refusal, which must be a problem document with a sentence."""
    assert response.headers["content-type"] == MEDIA_TYPE, response.text
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["title"]
    assert problem["detail"]
    return response.status_code, problem["type"].rpartition(":")[2]
