"""These tests run in virtual time: no server, no thread, and no second that has to be waited for."""

import asyncio
from collections.abc import Callable

from tests.support.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"virtual": VirtualLoop}
