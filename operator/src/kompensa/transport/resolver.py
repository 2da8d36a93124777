"""Where a participant's name leads, asked so that a name nobody answers for holds up no other.

A lookup cannot be cancelled: one for which no server replies keeps its thread for a minute and more. The event loop has
two threads for lookups, and those of abandoned calls queue there, so a single such name would stop the calls to
everybody. Here a name is looked up once at a time however many calls wait for it, on a thread of its own; and a name
that was known a moment ago is called where it was while its new lookup hangs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextlib import suppress
from threading import Thread
from typing import NamedTuple

# Seconds that an answer is used for, and that a refusal is: long enough for a burst of calls, too short to be noticed
# when a Service is made anew.
_FRESH = 5.0
_REFUSED = 1.0
# Seconds after which a known name is called where it was, if its new lookup takes longer than this patience. Not for
# ever: a cluster gives an address that became free to another Service.
_STALE = 120.0
_PATIENCE = 0.3
_LOOKUPS = 64
_NAMES = 1024


class _Answer(NamedTuple):
    """What a lookup came to at a time of the loop: addresses, or why there are none."""

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
        """The IP addresses of `host`, best first; at least one. Raises OSError.

        It takes as long as the lookup does; who calls bounds it. Cancelling a caller leaves the lookup to the others.
        """
        if _is_address(host):
            return (host,)
        answer = await self._answer(host)
        if not answer.addresses:
            raise OSError(f"{host} cannot be resolved: {answer.refusal}")
        return answer.addresses

    def doubt(self, host: str) -> None:
        """Nobody could be reached where it was: look it up anew at the next call."""
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
    """Ask the system, on a thread that does not keep the process from ending as an executor's would."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[_Answer] = loop.create_future()

    def tell(addresses: tuple[str, ...], refusal: str) -> None:
        if not answered.done():
            answered.set_result(_Answer(loop.time(), addresses, refusal))

    def look_up() -> None:
        addresses, refusal = _system_lookup(host)
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(tell, addresses, refusal)

    Thread(target=look_up, name=f"lookup of {host}", daemon=True).start()
    return await answered


def _system_lookup(host: str) -> tuple[tuple[str, ...], str]:
    """Addresses, or the refusal."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError) as error:
        return (), str(error)
    return tuple(dict.fromkeys(str(place[0]) for *_, place in found)), ""
