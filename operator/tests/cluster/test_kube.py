"""The API server's answers become four kinds of error, and pages are put together."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from kompensa.cluster.kube import ConflictError, Kube, KubeError, NotFoundError, RefusedError, UnavailableError
from kompensa.cluster.resources import SAGAS

Answer = Callable[[web.Request], Awaitable[web.Response]]


@asynccontextmanager
async def kube_at(answer: Answer, *, timeout: float = 5.0) -> AsyncIterator[Kube]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        client = ApiClient(Configuration(host=str(server.make_url("")).rstrip("/")))
        try:
            yield Kube(client, timeout=timeout)
        finally:
            await client.close()  # type: ignore[no-untyped-call]


def failing(status: int, headers: dict[str, str] | None = None, **body: Any) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"kind": "Status", "message": "no"} | body, status=status, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, NotFoundError),
        (409, ConflictError),
        (403, RefusedError),
        (422, RefusedError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
async def test_a_refusal_says_whether_trying_again_may_help(status: int, error: type[KubeError]) -> None:
    async with kube_at(failing(status)) as kube:
        with pytest.raises(error, match=f"sagas/a: {status} no"):
            await kube.get(SAGAS, "shop", "a")


async def test_the_server_may_say_when_to_come_back() -> None:
    async with kube_at(failing(429, {"Retry-After": "7"})) as kube:
        with pytest.raises(UnavailableError) as caught:
            await kube.get(SAGAS, "shop", "a")
    assert caught.value.retry_after == 7.0


async def test_a_server_that_does_not_answer_is_not_waited_for_long() -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        raise AssertionError

    async with kube_at(never, timeout=0.05) as kube:
        with pytest.raises(UnavailableError, match="no answer"):
            await kube.get(SAGAS, "shop", "a")


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    client = ApiClient(Configuration(host="http://127.0.0.1:1"))
    with pytest.raises(UnavailableError):
        await Kube(client).get(SAGAS, "shop", "a")
    await client.close()  # type: ignore[no-untyped-call]


async def test_a_status_for_another_uid_is_a_conflict() -> None:
    async with kube_at(failing(422, reason="Invalid", details={})) as kube:
        with pytest.raises(ConflictError, match="is not old-uid"):
            await kube.set_status(SAGAS, "shop", "a", "old-uid", {})


async def test_a_status_that_breaks_the_schema_is_refused_with_the_field() -> None:
    details = {"causes": [{"field": "status.phase", "message": "must be a string"}]}
    async with kube_at(failing(422, reason="Invalid", details=details)) as kube:
        with pytest.raises(RefusedError) as caught:
            await kube.set_status(SAGAS, "shop", "a", "uid", {"phase": 3})
    assert caught.value.invalid_fields == ("status.phase",)


async def test_deleting_what_is_gone_or_replaced_is_done() -> None:
    for status in (404, 409):
        async with kube_at(failing(status)) as kube:
            await kube.delete(SAGAS, "shop", "a", uid="uid")


async def test_a_long_list_is_read_page_by_page() -> None:
    async def pages(request: web.Request) -> web.Response:
        token = request.query.get("continue", "")
        page = {"": (["a", "b"], "next"), "next": (["c"], "")}[token]
        items = [{"metadata": {"name": name}} for name in page[0]]
        return web.json_response({"items": items, "metadata": {"continue": page[1]}})

    async with kube_at(pages) as kube:
        assert [item["metadata"]["name"] async for item in kube.each(SAGAS, None)] == ["a", "b", "c"]


@pytest.mark.parametrize("body", ["<html>welcome</html>", "", "[]", "{}"])
async def test_an_answer_that_is_no_list_never_passes_for_an_empty_one(body: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body)

    async with kube_at(answer) as kube:
        with pytest.raises(UnavailableError):
            [item async for item in kube.each(SAGAS, None)]
