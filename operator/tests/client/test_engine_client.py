"""The engine's answers become one of two errors: unreachable (try again) or a problem (report it)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kompensa.client.engine_client import (
    EngineClient,
    EngineProblemError,
    EngineUnreachableError,
    TokenRefusedError,
)


@asynccontextmanager
async def engine(status: int, body: Any, *, token: str | None = None) -> AsyncIterator[tuple[EngineClient, list[str]]]:
    """A client of an engine that answers everything so, and what it was asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path_qs} {request.headers.get('Authorization', '-')}")
        return web.json_response(body, status=status) if body is not None else web.Response(status=status, text="oops")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server, EngineClient.connect(str(server.make_url("")), token) as client:
        yield client, asked


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
async def test_an_engine_in_trouble_is_tried_again(status: int) -> None:
    async with engine(status, None) as (client, _):
        with pytest.raises(EngineUnreachableError, match=f"{status} oops"):
            await client.start_saga("shop", {})


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_is_nobodys_sagas_fault(status: int) -> None:
    async with engine(status, {"detail": "no"}) as (client, _):
        with pytest.raises(TokenRefusedError, match="KOMPENSA_API_TOKEN"):
            await client.start_saga("shop", {})


async def test_an_engine_that_is_not_there_is_unreachable() -> None:
    async with EngineClient.connect("http://127.0.0.1:1", None) as client:
        with pytest.raises(EngineUnreachableError, match="cannot be reached"):
            await client.start_saga("shop", {})
        assert not await client.ready()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "engine:port"])
async def test_a_login_in_the_address_is_not_told(address: str) -> None:
    async with EngineClient.connect(f"http://user:secret@{address}", None) as client:
        with pytest.raises(EngineUnreachableError, match=f"the engine at http://{address}") as caught:
            await client.start_saga("shop", {})
    assert "secret" not in str(caught.value)


async def test_a_login_in_the_address_is_used_where_there_is_no_token() -> None:
    async with engine(500, None) as (plain, asked):
        address = plain._address.replace("//", "//user:secret@")
        for token in (None, "token"):
            async with EngineClient.connect(address, token) as client:
                with pytest.raises(EngineUnreachableError) as caught:
                    await client.start_saga("shop", {})
                assert "secret" not in str(caught.value)
    assert [each.rpartition("sagas ")[2] for each in asked] == ["Basic dXNlcjpzZWNyZXQ=", "Bearer token"]


async def test_a_problem_keeps_what_it_says() -> None:
    problem = {"type": "urn:kompensa:problem:input-invalid", "detail": "items: required", "errors": ["items"]}
    async with engine(422, problem) as (client, _):
        with pytest.raises(EngineProblemError, match="items: required") as caught:
            await client.start_saga("shop", {})
    assert caught.value.slug == "input-invalid"
    assert caught.value.status == 422
    assert caught.value.members["errors"] == ["items"]


async def test_what_is_gone_already_counts_as_deleted() -> None:
    async with engine(404, {"detail": "unknown"}) as (client, asked):
        await client.delete_participant("shop", "stub")
        await client.delete_definition("shop", "order")
        await client.object_deleted("uid", "Compensate")
    assert len(asked) == 3


async def test_what_an_object_declared_is_deleted_for_that_object_only() -> None:
    async with engine(204, None) as (client, asked):
        await client.delete_participant("shop", "stub", uid="one")
        await client.delete_definition("shop", "order")
    assert asked == [
        "DELETE /v1/namespaces/shop/participants/stub?objectUid=one -",
        "DELETE /v1/namespaces/shop/definitions/order -",
    ]


async def test_the_token_goes_along_and_names_stay_in_their_place() -> None:
    async with engine(200, {"revision": "abc"}, token="secret") as (client, asked):
        assert await client.put_definition("shop", "a/../b", {}) == "abc"
    assert asked == ["PUT /v1/namespaces/shop/definitions/a%2F..%2Fb Bearer secret"]
