"""Waiting for conditions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], T], what: str, *, seconds: float = 20.0) -> T:
    """The condition's first truthy value, or a failure that says what was waited for and what was seen last."""
    last: object = None
    pause = max(0.005, seconds / 4000)  # an hour of virtual time need not be looked at in a million steps
    try:
        async with asyncio.timeout(seconds):
            while True:
                last = found = condition()
                if found:
                    return found
                await asyncio.sleep(pause)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:.0f} s for {what}; last seen: {last!r}") from None
