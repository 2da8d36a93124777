"""Waiting for conditions, in an event loop (`until`) and outside one (`eventually`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def until(condition: Callable[[], Awaitable[T | None]], what: str, *, seconds: float = 20.0) -> T: ...
@overload
async def until(condition: Callable[[], T], what: str, *, seconds: float = 20.0) -> T: ...
async def until(condition: Callable[[], object], what: str, *, seconds: float = 20.0) -> object:
    """Return the condition's first truthy value; it may be a coroutine function.

    The first looks follow each other quickly, later ones do not: a look can cost an API server milliseconds.

    Raises
    ------
    AssertionError
        If there is none in time; it names the wait and the last value.
    """
    last: object = None
    pause = max(0.005, seconds / 4000)  # an hour of virtual time need not be looked at in a million steps
    longest = max(0.05, pause)
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                last = found = await found if isawaitable(found) else found
                if found:
                    return found
                await asyncio.sleep(pause)
                pause = min(1.25 * pause, longest)
    except TimeoutError:
        raise AssertionError(_missed(what, seconds, last)) from None


def eventually(
    read: Callable[[], T | None],
    what: str,
    *,
    is_right: Callable[[T], bool] = bool,
    seconds: float = 60.0,
    every: float = 0.05,
    tolerate: tuple[type[Exception], ...] = (),
) -> T:
    """Return the first value that is right, by default the first truthy one.

    Parameters
    ----------
    tolerate
        Errors of `read` that mean "not yet", for example refused connections while pods are being killed.

    Raises
    ------
    AssertionError
        If there is none in time; it names the wait and the last value or error.
    """
    deadline = time.monotonic() + seconds
    while True:
        last: object
        try:
            last = found = read()
            if found is not None and is_right(found):
                return found
        except tolerate as error:
            last = error
        if time.monotonic() >= deadline:
            raise AssertionError(_missed(what, seconds, last))
        time.sleep(every)


def _missed(what: str, seconds: float, last: object) -> str:
    return f"waited {seconds:.0f} s for {what}; last seen: {last!r}"
