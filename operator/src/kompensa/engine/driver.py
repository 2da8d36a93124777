"""One saga's events, strictly in their order: decide, make durable if it must be, then act.

Events of different sagas run side by side and meet in the group commit. Events of one saga queue in its inbox, and
whoever brings one while the saga is idle drives it until the inbox is empty.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from kompensa.engine.metrics import REJECTED
from kompensa.engine.running_saga import InboxItem, RunningSaga, StatusWritten, resting
from kompensa.journal.errors import RejectedError, SupersededError
from kompensa.journal.group_commit import GroupCommit
from kompensa.journal.records import Signal
from kompensa.model.commands import Command, LogEntry
from kompensa.model.durability import must_commit_first
from kompensa.model.transition import advance

_log = structlog.get_logger(__name__)


class Driver:
    """Drives the sagas of one lease.

    `act` carries out commands, `moved` is told of every new state once it may be shown.
    """

    def __init__(
        self,
        commits: GroupCommit,
        *,
        clock: Callable[[], float],
        retention: float,
        act: Callable[[RunningSaga, Command], None],
        moved: Callable[[RunningSaga], None],
    ) -> None:
        self._commits = commits
        self._clock = clock
        self._retention = retention
        self._act = act
        self._moved = moved
        self.draining = False
        """Before leaving, everything known is written down, so that a successor repeats as little as possible."""

    async def drive(self, running: RunningSaga) -> None:
        """Take what its inbox holds; return when that is empty, or at once if somebody is at it already.

        Raises
        ------
        StaleLeaseError
            The lease is lost: nothing that was decided then is acted on.
        SupersededError
            The journal has moved on without this copy of the saga, which is void.
        """
        if running.driving:
            return
        running.driving = True
        try:
            await self._empty(running)
        except SupersededError:
            raise
        except RejectedError as error:
            # The journal refuses what this saga contains, and would again: it stalls, visibly, and the others go on.
            REJECTED.inc()
            _log.error("a saga cannot be journalled", saga=running.saga.id, error=str(error))
        finally:
            running.driving = False

    async def accept(self, running: RunningSaga, commands: tuple[Command, ...]) -> bool:
        """Make a new saga durable and start it; False when its id or its idempotency key exists already."""
        running.driving = True
        try:
            if not await self._commits.submit(running.acceptance(self._retention)):
                return False
            running.durable = running.saga
            self._carry_out(running, commands)
            await self._empty(running)
        finally:
            running.driving = False
        return True

    async def _empty(self, running: RunningSaga) -> None:
        while running.inbox:
            await self._take(running, running.inbox.popleft())

    async def _take(self, running: RunningSaga, item: InboxItem) -> None:
        if isinstance(item.event, StatusWritten):
            await self._shown(running, item.event)
            return
        before = running.saga
        commands: tuple[Command, ...] = ()
        if item.event is not None:
            decided = advance(running.definition, before, item.event, self._clock())
            running.saga, commands = decided.saga, decided.commands
            running.entries += decided.log
        if item.signal is not None:
            self._note(running, item.signal)
        elif running.saga is before:
            return
        if running.saga is not before:
            running.reported = running.counted = False
        urgent = self.draining or item.signal is not None or resting(running.saga)
        if urgent or must_commit_first(running.definition, before, running.saga, commands):
            await self._commit(running, item.signal)
        self._carry_out(running, commands)

    async def _shown(self, running: RunningSaga, event: StatusWritten) -> None:
        """The object says so: only now may the journal forget about it. A newer state has its own turn."""
        if running.saga is event.saga and not running.reported:
            running.reported = True
            running.entries.append(LogEntry(at=self._clock(), kind="StatusWritten"))
            await self._commit(running, None)
            self._moved(running)

    def _note(self, running: RunningSaga, signal: Signal) -> None:
        """What a signal changes beside the saga's own state."""
        if signal.generation is not None:
            running.generation = signal.generation
        if signal.kind.startswith("object-deleted"):
            running.detached = True
            running.entries.append(LogEntry(at=self._clock(), kind="ObjectDeleted", reason=signal.reason))

    async def _commit(self, running: RunningSaga, signal: Signal | None) -> None:
        await self._commits.submit(running.transition(self._retention, () if signal is None else (signal.id,)))
        running.durable = running.saga

    def _carry_out(self, running: RunningSaga, commands: tuple[Command, ...]) -> None:
        running.shown = running.saga
        for command in commands:
            self._act(running, command)
        self._moved(running)
