"""One engine's way to a journal, at which a test can cut the connection, reject a write, or act at each question.

In front of a journal in memory it plays the network between one engine and a shared database. In front of a real one, a
test puts a crash there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from kompensa.journal.errors import RejectedError
from kompensa.journal.group_commit import BatchWriter, Write
from kompensa.journal.port import Catalogue, Journal, Leases, Sagas, Signals, Topic
from kompensa.journal.records import Lease

Passing = Callable[[str], Awaitable[None]]


async def unnoticed(_: str) -> None:
    """Do nothing at a question."""


class JournalLink:
    """See `Journal`.

    Attributes
    ----------
    fail_with
        Raised by everything that is asked, until it is None again.
    poisonous
        Returns whether the journal rejects a write, in any batch.
    before, after
        Called with each question (`sagas.write`, `leases.renew`, ...) before it is asked, and after it was answered.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.fail_with: Exception | None = None
        self.poisonous: Callable[[Write], bool] = lambda _: False
        self.before: Passing = unnoticed
        self.after: Passing = unnoticed
        self.leases = cast(Leases, _Part(self, journal.leases, "leases"))
        self.sagas = cast(Sagas, _Part(self, journal.sagas, "sagas"))
        self.signals = cast(Signals, _Part(self, journal.signals, "signals"))
        self.catalogue = cast(Catalogue, _Part(self, journal.catalogue, "catalogue"))

    async def open(self) -> None:
        await self.passed("open", self._journal.open)

    async def close(self) -> None:
        await self._journal.close()

    def watch(self, topic: Topic, changed: Callable[[], None]) -> None:
        def told() -> None:
            if self.fail_with is None:
                changed()

        self._journal.watch(topic, told)

    async def passed(self, name: str, question: Callable[..., Awaitable[Any]], *given: Any, **named: Any) -> Any:
        """Ask, unless the link is cut before or by the time of the answer."""
        await self.before(name)
        await self._reach()
        answer = await question(*given, **named)
        await self.after(name)
        await self._reach()
        return answer

    async def _reach(self) -> None:
        if self.fail_with is not None:
            await asyncio.sleep(0)
            raise self.fail_with


class _Part:
    """One of the journal's protocols, each method through the link."""

    def __init__(self, link: JournalLink, part: Any, name: str) -> None:
        self._link = link
        self._part = part
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        question = getattr(self._part, method)

        def asked(*given: Any, **named: Any) -> Awaitable[Any]:
            return self._link.passed(f"{self._name}.{method}", question, *given, **named)

        return asked

    def writer(self, lease: Lease) -> BatchWriter:
        return _Writer(self._link, self._part.writer(lease))


class _Writer:
    def __init__(self, link: JournalLink, writer: BatchWriter) -> None:
        self._link = link
        self._writer = writer

    async def write(self, batch: Sequence[Write], *, repeated: bool) -> frozenset[str]:
        if any(self._link.poisonous(write) for write in batch):
            raise RejectedError("22P05: a character that the database cannot hold")
        return cast(
            frozenset[str], await self._link.passed("sagas.write", self._writer.write, batch, repeated=repeated)
        )
