"""An engine that dies at a chosen boundary: before or after a durable write, before or after a call of a participant.

From that moment on nothing of it goes anywhere: every question it asks, of the journal or of a participant, waits
forever, as those of a killed process do. Calls sent before are on their way and arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kompensa.journal.port import Journal
from kompensa.model.requests import Request
from kompensa.transport.port import Participant, Reply, Transport
from tests.support.journal_link import JournalLink


class Fuse:
    """Counts boundaries once it is armed, and is dead from the `last` one on."""

    def __init__(self) -> None:
        self._left: int | None = None
        self.dead = asyncio.Event()
        self.passed: list[str] = []

    def arm(self, last: int) -> None:
        """Die at the `last` boundary from now."""
        self._left = last

    async def pass_boundary(self, name: str) -> None:
        """One more; never returns once dead."""
        if self._left is None:
            return
        self._left -= 1
        if self._left <= 0:
            self.dead.set()
        await self.live_on()
        self.passed.append(name)

    async def live_on(self) -> None:
        """Return if alive; never otherwise."""
        if self.dead.is_set():
            await asyncio.Event().wait()


def mortal_journal(journal: Journal, fuse: Fuse) -> JournalLink:
    """A journal whose durable writes are boundaries."""
    link = JournalLink(journal)

    async def before(question: str) -> None:
        await (fuse.pass_boundary(f"before {question}") if question == "sagas.write" else fuse.live_on())

    async def after(question: str) -> None:
        await (fuse.pass_boundary(f"after {question}") if question == "sagas.write" else fuse.live_on())

    link.before, link.after = before, after
    return link


class MortalTransport:
    """See `Transport`. Calls are boundaries; `changed` may alter what is sent."""

    def __init__(self, transport: Transport, fuse: Fuse) -> None:
        self._transport = transport
        self._fuse = fuse
        self.changed: Callable[[Request], Request] = lambda request: request

    async def call(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        return await self._passed(self._transport.call, participant, saga_id, request)

    async def probe(self, participant: Participant, saga_id: str, request: Request) -> Reply:
        return await self._passed(self._transport.probe, participant, saga_id, request)

    async def close(self) -> None:
        await self._transport.close()

    async def _passed(
        self,
        ask: Callable[[Participant, str, Request], Awaitable[Reply]],
        participant: Participant,
        saga_id: str,
        request: Request,
    ) -> Reply:
        name = f"{request.direction} {request.step}#{request.attempt}"
        await self._fuse.pass_boundary(f"before {name}")
        reply = await ask(participant, saga_id, self.changed(request))
        await self._fuse.pass_boundary(f"after {name}")
        return reply
