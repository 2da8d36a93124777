"""Is there a pooler between us and PostgreSQL, and may other clients get our server process between two statements?

A server sends its process id when a connection opens. A pooler sends an id of its own making, since the process can
change later. So the id differs from `pg_backend_pid()` exactly if a pooler answers. Its mode shows in what it does: in
session mode each client keeps its process, and no two clients have the same one. In the other modes, a statement gets
the process that was used last, or another one at each turn. So three questions are enough if the pooler has no other
clients. They are asked again and again because of those.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from enum import Enum
from typing import Protocol

ROUNDS = 20


class Pooling(Enum):
    """How statements of one connection get to server processes."""

    NONE = "no pooler"
    SESSION = "session mode"
    SHARED = "transaction or statement mode"


class Probe(Protocol):
    """A connection that can be asked for process ids."""

    def announced_pid(self) -> int:
        """The id that was sent when the connection opened."""

    async def pid(self) -> int:
        """The id of the process that runs this statement, outside of a transaction."""


async def pooling_of(first: Probe, open_second: Callable[[], AbstractAsyncContextManager[Probe]]) -> Pooling:
    """Find the pooler between a connection and the server. The second connection is only opened behind one."""
    kept = await first.pid()
    if kept == first.announced_pid():
        return Pooling.NONE
    async with open_second() as second:
        for _ in range(ROUNDS):
            if {await first.pid(), await first.pid()} != {kept} or await second.pid() == kept:
                return Pooling.SHARED
    return Pooling.SESSION


def refusal(address: str, *, because: str) -> str:
    """Return the sentence for a process that cannot work behind such a pooler.

    Parameters
    ----------
    address
        host:port/database of the URL, without the login.
    because
        The reason, for example `notifications are lost`.
    """
    return (
        f"{address} is a pooler in {Pooling.SHARED.value} (two connections got one server process), where {because}: "
        "give the direct URL of the PostgreSQL server, or a pooler in session mode"
    )


def statement_mode(address: str) -> str:
    """Return the sentence for a process that works behind a pooler in transaction mode."""
    return (
        f"{address} is a pooler in statement mode (it rejected BEGIN), where transactions are not possible: "
        "give the direct URL of the PostgreSQL server, or a pooler in transaction or session mode"
    )
