"""Expectations of a stage: if one is not met, the demo ends and shows it next to the actual value."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kompensa.cli.failures import CommandError

PAUSE_SECONDS = 0.02
T = TypeVar("T")


class CheckFailedError(CommandError):
    """A stage did not show what it promises."""


def expect(holds: bool, text: str) -> None:
    """End the demo unless `holds`; the text has the expectation and the actual value."""
    if not holds:
        raise CheckFailedError(text)


async def wait_for(probe: Callable[[], Awaitable[T | None]], *, what: str, timeout: float) -> T:
    """Ask until there is an answer.

    Raises
    ------
    CheckFailedError
        When there is none in time.
    """
    deadline = time.monotonic() + timeout
    while (found := await probe()) is None:
        expect(time.monotonic() < deadline, f"expected within {timeout:.0f} s: {what}")
        await asyncio.sleep(PAUSE_SECONDS)
    return found
