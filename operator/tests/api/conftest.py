"""The API in front of an engine in memory, in virtual time; requests reach it without a socket."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from kompensa.engine import engine, held_lease
from tests.support.api_client import Api
from tests.support.engine_world import EngineWorld
from tests.support.otlp_receiver import KeptSpans
from tests.support.virtual_time import VirtualLoop, elapsed

INPUT = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}},
}


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


@pytest.fixture
def spans() -> KeptSpans:
    """The spans of `api`."""
    return KeptSpans()


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch, spans: KeptSpans) -> AsyncIterator[Api]:
    """With the definition `order` of the steps reserve and pay, whose input has a text `order`."""
    monkeypatch.setattr(engine, "monotonic", elapsed)
    monkeypatch.setattr(held_lease, "monotonic", elapsed)
    async with EngineWorld(spans=spans) as world, Api.of(world) as api:
        await world.declare("reserve", "pay", inputSchema=INPUT)
        yield api
