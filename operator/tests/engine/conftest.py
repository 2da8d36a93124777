"""These tests run in virtual time: no server, no thread, and no second that has to be waited for."""

import asyncio
from collections.abc import Callable

import pytest

from kompensa.engine import engine, held_lease
from tests.support.virtual_time import VirtualLoop, elapsed


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}


@pytest.fixture(autouse=True)
def _virtual_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases end by the loop's clock too."""
    monkeypatch.setattr(engine, "monotonic", elapsed)
    monkeypatch.setattr(held_lease, "monotonic", elapsed)
