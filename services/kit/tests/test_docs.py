"""The page /docs of every service works without the Internet."""

from __future__ import annotations

import re
from importlib import import_module

import httpx
import pytest

from kompensa_participant import Service
from kompensa_participant.settings import Settings
from tests.support.services import SERVICES


@pytest.mark.parametrize("name", SERVICES)
async def test_the_page_needs_nothing_from_elsewhere(name: str) -> None:
    service: Service = import_module(f"{name}.app").service
    app = service.app(Settings(database_url="postgresql://nowhere"))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        page = await client.get("/docs")
        assert "https://" not in page.text
        files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(files) == 3
        assert "url: 'openapi.json'" in page.text
        for file in (*files, "openapi.json"):
            assert (await client.get(page.url.join(file))).status_code == 200, file
        assert (await client.get("/redoc")).status_code == 404


@pytest.mark.parametrize("name", SERVICES)
def test_every_operation_is_described(name: str) -> None:
    service: Service = import_module(f"{name}.app").service
    paths = service.app(Settings(database_url="postgresql://nowhere")).openapi()["paths"]
    operations = {f"{method} {path}": operation for path, found in paths.items() for method, operation in found.items()}
    assert [operation for operation, said in operations.items() if len(said.get("description", "")) < 15] == []
