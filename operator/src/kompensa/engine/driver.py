"""One inbox item of one saga: decide what it means, and make that durable if it must be before anything is done.

The commits of different sagas meet in the group commit.
"""

from __future__ import annotations

from collections.abc import Callable

from kompensa.engine.running_saga import InboxItem, RunningSaga, StatusWritten
from kompensa.journal.group_commit import GroupCommit
from kompensa.model.commands import Command
from kompensa.model.durability import must_commit_first


class Driver:
    """Decides and writes for the sagas of one lease. It does nothing else: see `Runner`."""

    def __init__(self, commits: GroupCommit, *, clock: Callable[[], float], retention: float) -> None:
        self._commits = commits
        self._clock = clock
        self._retention = retention
        self.draining = False
        """Before the engine leaves, every decision is written, so that a successor repeats as few calls as possible."""

    async def accept(self, running: RunningSaga) -> bool:
        """Make a new saga durable; False if its id or its idempotency key exists already."""
        if not await self._commits.submit(running.acceptance(self._retention)):
            return False
        running.written()
        return True

    async def take(self, running: RunningSaga, item: InboxItem) -> tuple[Command, ...] | None:
        """Take in one item and return the commands to carry out now, or None if it changed nothing.

        Raises
        ------
        StaleLeaseError
            The lease is over. The decisions of this call must not be carried out.
        SupersededError
            The journal has moved on without this copy of the saga, which is void.
        RejectedError
            PostgreSQL rejects what this saga contains.
        """
        if isinstance(item.event, StatusWritten):
            return await self._take_status(running, item.event)
        before = running.saga
        commands = () if item.event is None else running.advance(item.event, self._clock())
        if item.signal is not None:
            running.note(item.signal, self._clock())
        elif running.saga is before:
            return None
        urgent = self.draining or item.signal is not None or running.resting
        if urgent or must_commit_first(running.definition, before, running.saga, commands):
            await self._commit(running, () if item.signal is None else (item.signal.id,))
        return commands

    async def _take_status(self, running: RunningSaga, written: StatusWritten) -> tuple[Command, ...] | None:
        """Only now may the journal forget the saga. If it has moved on, its newer state is written in its own turn."""
        if not running.note_status(written, self._clock()):
            return None
        await self._commit(running, ())
        return ()

    async def _commit(self, running: RunningSaga, signals: tuple[int, ...]) -> None:
        await self._commits.submit(running.transition(self._retention, signals))
        running.written()
