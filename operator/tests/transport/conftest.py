"""Both HTTP clients: a test that uses the fixture `client` runs once with each."""

from collections.abc import Callable

import pytest

from kompensa.transport import http
from kompensa.transport.aiohttp_client import AiohttpClient
from kompensa.transport.client import HttpClient
from kompensa.transport.own_client import OwnClient


@pytest.fixture(params=[OwnClient, AiohttpClient], ids=["own", "aiohttp"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], HttpClient]:
    """`HttpTransport()` uses this client."""
    chosen: Callable[[], HttpClient] = request.param
    monkeypatch.setattr(http, "OwnClient", chosen)
    return chosen
