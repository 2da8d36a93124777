"""The token and the size of each request are checked. Kubernetes and Prometheus need no token for their paths."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from kompensa.api.auth import BODY_LIMIT
from tests.support.api_client import Api, slug

TOKEN = "a-token"
SAGAS = "/v1/namespaces/shop/sagas"


@pytest.fixture
async def closed(api: Api) -> AsyncIterator[Api]:
    """The same API, with a token."""
    async with Api.of(api.world, token=TOKEN) as closed:
        yield closed


@pytest.mark.parametrize("shown", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"bearer {TOKEN}x"])
async def test_without_the_token_it_is_401_and_says_how_to_show_it(closed: Api, shown: str | None) -> None:
    headers = {} if shown is None else {"Authorization": shown}
    refused = await closed.client.get("/v1/sagas", headers=headers)
    assert slug(refused) == (401, "unauthorized")
    assert "Authorization: Bearer" in refused.json()["detail"]
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_with_the_token_it_is_answered(closed: Api, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {TOKEN}"}
    assert (await closed.client.get("/v1/sagas", headers=headers)).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_health_metrics_and_documentation_need_no_token(closed: Api, path: str) -> None:
    assert (await closed.get(path)).status_code == 200


async def test_the_page_of_the_documentation_needs_no_token_and_nothing_from_elsewhere(closed: Api) -> None:
    page = await closed.get("/docs")
    assert "https://" not in page.text
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3
    for file in (*files, "openapi.json"):
        assert (await closed.get(str(page.url.join(file)))).status_code == 200, file


async def test_no_other_file_of_the_documentation_opens_the_door(closed: Api) -> None:
    assert (await closed.get("/docs/files/../../v1/sagas")).status_code == 401
    assert (await closed.get("/docs/files/redoc/redoc.standalone.js")).status_code == 401


@pytest.mark.parametrize("path", ["//healthz", "/healthz/", "/healthz/v1/sagas", "/%2e%2e/healthz"])
async def test_no_other_spelling_opens_the_door(closed: Api, path: str) -> None:
    assert (await closed.get(path)).status_code in (401, 404)


async def test_a_body_that_announces_too_much_is_413(api: Api) -> None:
    refused = await api.client.post(SAGAS, content=b" " * (BODY_LIMIT + 1))
    assert slug(refused) == (413, "body-too-large")


async def test_a_body_that_grows_too_large_is_413_before_it_is_in_memory(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * BODY_LIMIT:
            sent += 65_536
            yield b" " * 65_536
            await asyncio.sleep(0)

    refused = await api.client.post(SAGAS, content=endless())
    assert slug(refused) == (413, "body-too-large")
    assert sent < 3 * BODY_LIMIT
