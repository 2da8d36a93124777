"""One saga's events, strictly in their order: decide, make durable if it must be, then act.

Events of different sagas run side by side and meet in the group commit. Events of one saga queue in its inbox, and
whoever brings one while the saga is idle drives it until the inbox is empty.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from kompensa.engine.live import Happening, Live, Shown, resting
from kompensa.engine.metrics import REJECTED
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
        act: Callable[[Live, Command], None],
        moved: Callable[[Live], None],
    ) -> None:
        self._commits = commits
        self._clock = clock
        self._retention = retention
        self._act = act
        self._moved = moved
        self.draining = False
        """Before leaving, everything known is written down, so that a successor repeats as little as possible."""

    async def drive(self, live: Live) -> None:
        """Take what its inbox holds; return when that is empty, or at once if somebody is at it already.

        Raises
        ------
        StaleLeaseError
            The lease is lost: nothing that was decided then is acted on.
        SupersededError
            The journal has moved on without this copy of the saga, which is void.
        """
        if live.driving:
            return
        live.driving = True
        try:
            await self._empty(live)
        except SupersededError:
            raise
        except RejectedError as error:
            # The journal refuses what this saga contains, and would again: it stalls, visibly, and the others go on.
            REJECTED.inc()
            _log.error("a saga cannot be journalled", saga=live.saga.id, error=str(error))
        finally:
            live.driving = False

    async def accept(self, live: Live, commands: tuple[Command, ...]) -> bool:
        """Make a new saga durable and start it; False when its id or its idempotency key exists already."""
        live.driving = True
        try:
            if not await self._commits.submit(live.acceptance(self._retention)):
                return False
            live.durable = live.saga
            self._carry_out(live, commands)
            await self._empty(live)
        finally:
            live.driving = False
        return True

    async def _empty(self, live: Live) -> None:
        while live.inbox:
            await self._take(live, live.inbox.popleft())

    async def _take(self, live: Live, happening: Happening) -> None:
        if isinstance(happening.event, Shown):
            await self._shown(live, happening.event)
            return
        before = live.saga
        commands: tuple[Command, ...] = ()
        if happening.event is not None:
            decided = advance(live.definition, before, happening.event, self._clock())
            live.saga, commands = decided.saga, decided.commands
            live.entries += decided.log
        if happening.signal is not None:
            self._note(live, happening.signal)
        elif live.saga is before:
            return
        if live.saga is not before:
            live.reported = live.counted = False
        urgent = self.draining or happening.signal is not None or resting(live.saga)
        if urgent or must_commit_first(live.definition, before, live.saga, commands):
            await self._commit(live, happening.signal)
        self._carry_out(live, commands)

    async def _shown(self, live: Live, event: Shown) -> None:
        """The object says so: only now may the journal forget about it. A newer state has its own turn."""
        if live.saga is event.saga and not live.reported:
            live.reported = True
            live.entries.append(LogEntry(at=self._clock(), kind="StatusWritten"))
            await self._commit(live, None)
            self._moved(live)

    def _note(self, live: Live, signal: Signal) -> None:
        """What a signal changes beside the saga's own state."""
        if signal.generation is not None:
            live.generation = signal.generation
        if signal.kind.startswith("object-deleted"):
            live.detached = True
            live.entries.append(LogEntry(at=self._clock(), kind="ObjectDeleted", reason=signal.reason))

    async def _commit(self, live: Live, signal: Signal | None) -> None:
        await self._commits.submit(live.transition(self._retention, () if signal is None else (signal.id,)))
        live.durable = live.saga

    def _carry_out(self, live: Live, commands: tuple[Command, ...]) -> None:
        live.shown = live.saga
        for command in commands:
            self._act(live, command)
        self._moved(live)
