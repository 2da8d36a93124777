"""Read your own writes: wait for a limited time until a projection has applied a certain version."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kompensa_eventstore.errors import EventStoreError

T = TypeVar("T")
FIRST_PAUSE_SECONDS = 0.002
LONGEST_PAUSE_SECONDS = 0.05


class TooOldError(EventStoreError):
    """The projection has not reached the version in time. Ask again later."""

    def __init__(self, *, wanted: int, found: int) -> None:
        super().__init__(f"the projection is at version {found}, not {wanted} yet; ask again in a moment")
        self.wanted = wanted
        self.found = found


async def at_least(
    version: int, read: Callable[[], Awaitable[T | None]], version_of: Callable[[T], int], *, seconds: float = 2.0
) -> T:
    """Call `read` until the row is at this version or a later one, and return the row.

    Raises
    ------
    TooOldError
        The row is still older after `seconds`.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    pause = FIRST_PAUSE_SECONDS
    while True:
        row = await read()
        found = 0 if row is None else version_of(row)
        if row is not None and found >= version:
            return row
        if asyncio.get_running_loop().time() + pause > deadline:
            raise TooOldError(wanted=version, found=found)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
