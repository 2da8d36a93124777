"""Looks up the addresses of participants, so that one name without an answer does not delay other names.

A lookup cannot be cancelled. If no name server answers, it keeps its thread for a minute or more. The event loop has
only a few threads for lookups, and lookups of abandoned calls wait there too. So one such name could stop the calls to
all participants.

Here each lookup has its own thread, and a name is looked up once even if many calls wait for it. If the lookup of a
known name hangs, its last addresses are used for a while.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextlib import suppress
from threading import Thread
from typing import NamedTuple

# Seconds for which an answer is used, and for which a failure is: long enough for a burst of calls, short enough to
# notice soon that a Service was recreated.
_FRESH = 5.0
_REFUSED = 1.0
# If the new lookup of a known name takes longer than `_PATIENCE` seconds, its old addresses are used while they are
# younger than `_STALE` seconds. Older ones may belong to another Service by now.
_STALE = 120.0
_PATIENCE = 0.3
_LOOKUPS = 64
_NAMES = 1024


class _Answer(NamedTuple):
    """The result of a lookup: addresses, or the reason why there are none. `at` is the loop's time."""

    at: float
    addresses: tuple[str, ...]
    refusal: str = ""


class Resolver:
    """Looks names up, `_LOOKUPS` at once, and remembers the last `_NAMES` answers for some seconds."""

    def __init__(self) -> None:
        self._answers: dict[str, _Answer] = {}
        self._lookups: dict[str, asyncio.Task[_Answer]] = {}
        self._turns = asyncio.Semaphore(_LOOKUPS)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IP addresses of `host`, best first; at least one.

        There is no time-out here, so the caller sets one. If a caller is cancelled, the lookup goes on for the others.

        Raises
        ------
        OSError
            The name is unknown, or no name server answered.
        """
        if _is_address(host):
            return (host,)
        answer = await self._answer(host)
        if not answer.addresses:
            raise OSError(f"{host} cannot be resolved: {answer.refusal}")
        return answer.addresses

    def doubt(self, host: str) -> None:
        """Look the name up again at the next call, since no connection could be made to its addresses."""
        known = self._answers.get(host)
        if known is not None:
            outdated = asyncio.get_running_loop().time() - _FRESH
            self._answers[host] = known._replace(at=min(known.at, outdated))

    async def _answer(self, host: str) -> _Answer:
        known = self._answers.get(host)
        age = 0.0 if known is None else asyncio.get_running_loop().time() - known.at
        if known is not None and age < (_FRESH if known.addresses else _REFUSED):
            return known
        usable = known is not None and bool(known.addresses) and age < _STALE
        lookup = self._lookup(host)
        await asyncio.wait([lookup], timeout=_PATIENCE if usable else None)
        return lookup.result() if known is None or lookup.done() else known

    def _lookup(self, host: str) -> asyncio.Task[_Answer]:
        lookup = self._lookups.get(host)
        if lookup is None:
            lookup = self._lookups[host] = asyncio.create_task(self._look_up(host))
            lookup.add_done_callback(lambda _: self._lookups.pop(host))
        return lookup

    async def _look_up(self, host: str) -> _Answer:
        async with self._turns:
            answer = await _looked_up(host)
        self._answers.pop(host, None)  # the newest is the last, so that the first is the oldest
        self._answers[host] = answer
        while len(self._answers) > _NAMES:
            del self._answers[next(iter(self._answers))]
        return answer


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _looked_up(host: str) -> _Answer:
    """Ask the system on a daemon thread. Unlike a thread of an executor, it does not delay the end of the process."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[_Answer] = loop.create_future()

    def report(addresses: tuple[str, ...], refusal: str) -> None:
        if not answered.done():
            answered.set_result(_Answer(loop.time(), addresses, refusal))

    def look_up() -> None:
        addresses, refusal = _system_lookup(host)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(report, addresses, refusal)

    Thread(target=look_up, name=f"lookup of {host}", daemon=True).start()
    return await answered


def _system_lookup(host: str) -> tuple[tuple[str, ...], str]:
    """The addresses, or why there are none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        return (), str(error)
    return tuple(dict.fromkeys(str(place[0]) for *_, place in found)), ""
