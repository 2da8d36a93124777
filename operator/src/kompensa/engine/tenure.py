"""All that lives as long as one lease: its sagas in memory, their timers and calls, and the writer of their commits.

When the lease is lost, a tenure ends as a whole and the engine begins another one: nothing passes from one to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from kompensa.engine.calls import Calls
from kompensa.engine.declarations import Declarations
from kompensa.engine.driver import Driver
from kompensa.engine.held_lease import HeldLease
from kompensa.engine.lease_tasks import LeaseTasks
from kompensa.engine.metrics import CommitMetrics
from kompensa.engine.recovery import Recovery
from kompensa.engine.reporter import Reporter
from kompensa.engine.runner import Runner
from kompensa.engine.running_saga import RunningSaga
from kompensa.engine.saga_table import SagaTable
from kompensa.engine.settings import Settings
from kompensa.engine.signals import SignalPump
from kompensa.engine.status_publisher import StatusPublisher
from kompensa.journal.errors import StaleLeaseError
from kompensa.journal.group_commit import GroupCommit
from kompensa.journal.port import Journal
from kompensa.journal.records import Grant
from kompensa.model.commands import Command
from kompensa.model.saga import Saga
from kompensa.transport.port import Transport

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class EngineParts:
    """The parts of an engine that stay from one lease to the next."""

    journal: Journal
    transport: Transport
    publisher: StatusPublisher
    declarations: Declarations
    settings: Settings
    clock: Callable[[], float]
    observer: CommitMetrics
    on_end: Callable[[Saga], None] | None = None


class Tenure:
    """Puts the parts of one lease together, and begins and ends them.

    Attributes
    ----------
    held
        The lease: its shards, and whether the engine may act now.
    sagas
        The sagas in memory.
    runner
        Takes what comes to a saga, and acts on it.
    signals
        Brings requests to their sagas.
    """

    def __init__(self, grant: Grant, valid_until: float, parts: EngineParts) -> None:
        self.held = HeldLease(grant, valid_until=valid_until)
        self.sagas = SagaTable()
        self._clock = parts.clock
        self._tasks = LeaseTasks(self.held.lost)
        self._commits = GroupCommit(parts.journal.sagas.writer(grant.lease), parts.observer)
        self._reporter = Reporter(parts.publisher, self.held)
        self._recovery = Recovery(parts.journal, parts.declarations, self.held, self.sagas)
        self.runner = Runner(
            self.sagas,
            recovery=self._recovery,
            driver=Driver(self._commits, clock=parts.clock, retention=parts.settings.retention),
            calls=Calls(parts.transport, parts.declarations, self.held),
            reporter=self._reporter,
            tasks=self._tasks,
            clock=parts.clock,
            on_end=parts.on_end,
        )
        self.signals = SignalPump(parts.journal.signals, self.held, self._recovery, self.runner)

    def begin(self, gained: frozenset[int]) -> None:
        """Recover the sagas of these shards, and listen for signals."""
        self._recover(gained)
        self._tasks.spawn(self.signals.run())

    def renew(self, grant: Grant, valid_until: float) -> None:
        """Go on with a prolonged lease, and recover the sagas of shards that came with it."""
        self.held.renew(grant, valid_until)
        if grant.gained:
            self._recover(grant.gained)

    async def accept(self, running: RunningSaga, commands: tuple[Command, ...]) -> bool:
        """Take on a new saga; False if its id or idempotency key exists already."""
        return await self.runner.accept(running, commands)

    def part_with_surplus(self) -> list[int]:
        """Give up shards that other engines should have, if no saga in memory keeps them; return them to be released.

        From here on they are not ours: if a row of such a shard is being read, its saga does not enter memory any more.
        """
        unneeded = self.held.closing & (self.held.shards - self._recovery.unread)
        if not unneeded:
            return []
        busy = {running.shard for running in self.sagas.of_shards(unneeded) if not running.idle}
        leaving = unneeded - busy
        followed = self.sagas.of_shards(leaving)
        for running in followed:
            self.runner.drop(running)
        self._reporter.forget([running.saga.id for running in followed])
        self.held.part_with(leaving)
        return sorted(leaving)

    def stalled(self, *, late: float) -> list[RunningSaga]:
        """Sagas that do nothing although their time came more than `late` seconds ago."""
        return self.sagas.overdue(self._clock(), late=late)

    async def drain(self, timeout: float) -> None:
        """Start nothing new, wait for the calls under way, and write everything."""
        self.held.close()
        try:
            async with asyncio.timeout(timeout):
                await self.runner.drain()
                await self._commits.flush()
        except TimeoutError:
            _log.info("leaving with calls under way; a successor repeats them", calls=len(self.runner.calling))
        except StaleLeaseError:
            _log.info("the lease was lost while leaving; what was not written is another engine's now")

    def end(self, reason: StaleLeaseError) -> None:
        """Drop everything, at once."""
        if self.held.ended:
            return
        self.held.end(reason)
        self._commits.end(reason)
        self.runner.close()
        self._tasks.cancel()
        for running in self.sagas:
            running.wake_waiters()
        self._reporter.forget([running.saga.id for running in self.sagas])
        self.sagas.clear()

    def _recover(self, shards: frozenset[int]) -> None:
        self._recovery.expect(shards)
        self._tasks.spawn(self._load(shards))

    async def _load(self, shards: frozenset[int]) -> None:
        await self._recovery.load(shards, self.runner.recovered)
        self.signals.wake()
