"""All that lives as long as one lease: sagas in memory, their timers, calls, and the writer of their commits.

When the lease is lost, a tenure ends as a whole and the engine begins another; nothing leaks from one to the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import structlog

from kompensa.engine.calls import Call, Calls
from kompensa.engine.declarations import Declarations
from kompensa.engine.driver import Driver
from kompensa.engine.errors import NotReadyError
from kompensa.engine.metrics import IN_FLIGHT, RECOVERED, CommitMetrics, duration, rested
from kompensa.engine.reporter import Reporter
from kompensa.engine.running_saga import InboxItem, RunningSaga, resting, revived, stored_saga
from kompensa.engine.settings import Settings
from kompensa.engine.signals import SignalPump
from kompensa.engine.status_publisher import StatusPublisher
from kompensa.engine.timers import Timers
from kompensa.journal.errors import JournalError, JournalUnavailableError, StaleLeaseError, SupersededError
from kompensa.journal.group_commit import GroupCommit
from kompensa.journal.port import Journal
from kompensa.journal.records import Grant, SagaRow, Signal
from kompensa.model.commands import CallAction, Command, Finish
from kompensa.model.events import Recovered, TimerDue
from kompensa.model.saga import TERMINAL, Phase, Saga
from kompensa.transport.port import Transport

_log = structlog.get_logger(__name__)
_RECOVERY_BATCH = 500
_RETRY_SECONDS = 0.5
# A timer that changed nothing is asked again after this long, so that a fault in a rule cannot become a busy loop.
_UNCHANGED_RETRY_SECONDS = 1.0
_MOVING = frozenset({Phase.PENDING, Phase.RUNNING, Phase.COMPENSATING})


class Tenure:
    """Runs sagas under one lease."""

    def __init__(
        self,
        grant: Grant,
        *,
        valid_until: float,
        journal: Journal,
        transport: Transport,
        publisher: StatusPublisher,
        declarations: Declarations,
        settings: Settings,
        clock: Callable[[], float],
        observer: CommitMetrics,
    ) -> None:
        self.lease = grant.lease
        self.shards = grant.shards
        self.closing: frozenset[int] = frozenset()
        self._open = tuple(grant.shards)
        self._turn = 0
        self._recovering: set[int] = set()
        """Shards of which not every saga is in memory yet."""
        self.running: dict[str, RunningSaga] = {}
        self.weight = 0
        """Bytes of all their inputs, as JSON."""
        self._held: set[str] = set()
        self._taking = asyncio.Lock()
        """A row that was read is taken into memory before the next is read: none is taken from an outdated one."""
        self.lost = asyncio.Event()
        """Somebody noticed that the lease is not ours any more."""
        self._ended: StaleLeaseError | None = None
        self._valid_until = valid_until
        self._renewed = asyncio.Event()
        self._journal = journal
        self._declarations = declarations
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._calling: set[asyncio.Task[None]] = set()
        self._commits = GroupCommit(journal.sagas.writer(grant.lease), observer)
        self._timers = Timers(clock, self._timer_due)
        self._calls = Calls(transport, find=declarations.participant, permitted=self.permitted)
        self.driver = Driver(self._commits, clock=clock, retention=settings.retention, act=self._act, moved=self._moved)
        self._publisher = publisher
        self._reporter = Reporter(publisher, permitted=self.permitted, spawn=self._spawn, tell=self._take_in)
        self.signals = SignalPump(journal.signals, shards=lambda: self.shards, find=self._wanted, deliver=self._deliver)

    def begin(self, gained: frozenset[int]) -> None:
        """Load what the shards hold, and listen to what is asked of it."""
        self._begin_recovery(gained)
        self._spawn(self.signals.run())

    def renew(self, grant: Grant, valid_until: float) -> None:
        """The lease was prolonged; perhaps there is more to do."""
        self.shards = grant.shards
        self._valid_until = valid_until
        self._renewed.set()
        # The last ones, so that what is kept does not move about while engines come and go.
        surplus = sorted(grant.shards)[len(grant.shards) - grant.surplus :]
        self.closing = frozenset(surplus)
        self._open = tuple(grant.shards - self.closing)
        if grant.gained:
            self._begin_recovery(grant.gained)

    def part_with_surplus(self) -> list[int]:
        """Shards that others should have and that nothing of ours keeps, to be released.

        From here on they are not ours: a row of theirs that is being read is not taken in any more. The next renewal
        says whether that came true.
        """
        ours = self.closing & self.shards - self._recovering
        if not ours:
            return []
        keeping = {running.shard for running in self.running.values() if running.shard in ours and not running.idle}
        leaving = ours - keeping
        followed = [running for running in self.running.values() if running.shard in leaving]
        for running in followed:
            self.leave(running)
        self._publisher.forget([running.saga.id for running in followed])
        self.shards -= leaving
        return sorted(leaving)

    def open_shard(self) -> int:
        """A shard for a new saga, by turns. Raises NotReadyError when there is none."""
        if not self._open or self._ended is not None or self.driver.draining:
            raise NotReadyError("this engine owns no shard now; ask again in a moment, or ask another engine")
        self._turn = (self._turn + 1) % len(self._open)
        return self._open[self._turn]

    @property
    def busy(self) -> int:
        """Sagas in memory that are not held by a person."""
        return len(self.running) - len(self._held)

    async def permitted(self) -> None:
        """Return while the lease surely holds; wait while that is unknown. Raises StaleLeaseError once it is lost.

        This is what keeps a process that was paused for longer than its lease from calling anybody when it wakes.
        """
        while self._ended is None and monotonic() >= self._valid_until:
            self._renewed.clear()
            await self._renewed.wait()
        if self._ended is not None:
            raise self._ended

    async def accept(self, running: RunningSaga, commands: tuple[Command, ...]) -> bool:
        """Take on a new saga; False when its id or idempotency key exists already."""
        self.enter(running)
        fresh = False
        try:
            fresh = await self.driver.accept(running, commands)
        finally:
            if not fresh:
                self.leave(running)
        if not fresh:
            self._spawn(self._pick_up(running.saga.id))
        return fresh

    def enter(self, running: RunningSaga) -> None:
        """Keep a saga in memory."""
        self.running[running.saga.id] = running
        self.weight += running.weight
        IN_FLIGHT.set(len(self.running))

    def leave(self, running: RunningSaga) -> None:
        """Forget a saga that is settled, or that was never accepted."""
        if self.running.get(running.saga.id) is running:
            del self.running[running.saga.id]
            self.weight -= running.weight
            self._held.discard(running.saga.id)
            self._timers.set(running.saga.id, None)
            IN_FLIGHT.set(len(self.running))

    def end(self, reason: StaleLeaseError) -> None:
        """Drop everything, at once and for good."""
        if self._ended is not None:
            return
        self._ended = reason
        self._commits.end(reason)
        self._renewed.set()
        self._timers.close()
        for task in self._tasks:
            task.cancel()
        for running in self.running.values():
            running.rest()
        self._publisher.forget(self.running)
        self.running.clear()
        IN_FLIGHT.set(0)

    async def drain(self, timeout: float) -> None:
        """Begin no more than what was written down as begun, wait for calls under way, write everything down."""
        self.driver.draining = True
        self._timers.close()
        try:
            async with asyncio.timeout(timeout):
                while self._calling:
                    await asyncio.wait(self._calling)
                await self._commits.flush()
        except TimeoutError:
            _log.info("leaving with calls under way; a successor repeats them", calls=len(self._calling))
        except StaleLeaseError:
            _log.info("the lease was lost while leaving; what was not written down is another engine's now")

    def stalled(self, *, late: float) -> list[RunningSaga]:
        """Sagas whose time came long ago without anything item."""
        now = self._clock()
        return [running for running in self.running.values() if not running.driving and _overdue(running, now) > late]

    def _begin_recovery(self, shards: frozenset[int]) -> None:
        self._recovering |= shards
        self._spawn(self._recover(shards))

    async def _recover(self, shards: frozenset[int]) -> None:
        """Load unsettled sagas in batches, and let each go on."""
        after: str | None = None
        count = 0
        while True:
            try:
                async with self._taking:
                    rows = await self._journal.sagas.unsettled(shards, after=after, limit=_RECOVERY_BATCH)
                    for row in rows:
                        count += await self._take_over(row)
                        await asyncio.sleep(0)  # the lease is renewed on the same loop
            except StaleLeaseError:
                raise
            except JournalError as error:
                _log.warning("recovery waits for the journal", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if len(rows) < _RECOVERY_BATCH:
                break
            after = rows[-1].id
        self._recovering -= shards
        self.signals.wake()
        if count:
            RECOVERED.inc(count)
            _log.info("sagas taken over", count=count, shards=len(shards))

    async def _pick_up(self, saga_id: str) -> None:
        """Take over a saga that was asked for again: recovery passes over it while the new request is in memory."""
        while True:
            try:
                async with self._taking:
                    row = await self._journal.sagas.find(saga_id)
                    if row is not None and not row.settled and row.shard in self.shards:
                        await self._take_over(row)
            except StaleLeaseError:
                raise
            except JournalError:
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                return

    async def _take_over(self, row: SagaRow) -> bool:
        if row.id in self.running or not await self._revive(row):
            return False
        running = self.running[row.id]
        if resting(running.saga):
            self._moved(running)
        else:
            self._deliver(running, InboxItem(Recovered()))
        return True

    async def _revive(self, row: SagaRow) -> bool:
        try:
            saga, _ = stored_saga(row)
            running = revived(row, await self._declarations.revision(row.namespace, row.definition, saga.revision))
        except JournalUnavailableError:
            raise
        except Exception:
            # One row that cannot be read must not keep all the others from going on.
            _log.exception("a saga cannot be taken over", saga=row.id)
            return False
        if row.id in self.running or row.shard not in self.shards:
            return False  # asked for anew, or its shard given away, a moment ago
        self.enter(running)
        return True

    async def _wanted(self, signal: Signal) -> RunningSaga | None:
        """The saga a request is for. One that is parked has left memory and comes back for it."""
        async with self._taking:
            running = self.running.get(signal.saga_id)
            if running is not None:
                return running
            row = await self._journal.sagas.find(signal.saga_id)
            if row is None or (row.settled and row.phase in TERMINAL):
                await self._journal.signals.withdraw([signal.id])
            elif row.settled and row.shard in self.shards:
                await self._revive(row)
            return self.running.get(signal.saga_id)

    def _timer_due(self, saga_id: str) -> None:
        running = self.running.get(saga_id)
        if running is not None:
            self._deliver(running, InboxItem(TimerDue()))

    def _deliver(self, running: RunningSaga, item: InboxItem) -> None:
        if self._queued(running, item):
            self._spawn(self._driven(running))

    async def _take_in(self, running: RunningSaga, item: InboxItem) -> None:
        if self._queued(running, item):
            await self._driven(running)

    def _queued(self, running: RunningSaga, item: InboxItem) -> bool:
        """Put it into the inbox, which from now on keeps the saga in memory.

        False where the saga has left: nothing that is still to come can concern it, and a request stays in the journal
        and is found again. It must never be driven then, or two copies would write one row.
        """
        if self.running.get(running.saga.id) is not running:
            return False
        running.inbox.append(item)
        return True

    async def _driven(self, running: RunningSaga) -> None:
        before = running.saga
        try:
            await self.driver.drive(running)
        except SupersededError as error:
            _log.warning("the journal knows more of a saga than this engine, which reads it anew", error=str(error))
            running.rest()
            self.leave(running)
            self._publisher.forget([running.saga.id])
            await self._pick_up(running.saga.id)
            return
        if running.driving or self.running.get(running.saga.id) is not running:
            return
        if running.settled and not running.inbox:
            self.leave(running)
        elif running.saga is before:
            self._set_timer(running, at_least=self._clock() + _UNCHANGED_RETRY_SECONDS)

    def _act(self, running: RunningSaga, command: Command) -> None:
        if not isinstance(command, Finish) and (not self.driver.draining or _unrepeatable(running, command)):
            task = self._spawn(self._call(running, command))
            self._calling.add(task)
            task.add_done_callback(self._calling.discard)

    async def _call(self, running: RunningSaga, command: Call) -> None:
        await self._take_in(running, InboxItem(await self._calls.make(running, command)))

    def _moved(self, running: RunningSaga) -> None:
        """A saga has a new state that may be shown."""
        (self._held.add if running.saga.suspended else self._held.discard)(running.saga.id)
        if running.has_object and not running.reported:
            self._reporter.show(running)
        if not resting(running.saga):
            self._set_timer(running)
            return
        self._timers.set(running.saga.id, None)
        running.rest()
        if not running.counted:
            running.counted = True
            _count_rest(running.saga, self._clock())
        if running.settled and not running.inbox:
            self.leave(running)

    def _set_timer(self, running: RunningSaga, *, at_least: float = 0.0) -> None:
        at = running.saga.wake_at if running.saga.phase in _MOVING else None
        self._timers.set(running.saga.id, None if at is None else max(at, at_least))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._until_lost(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _until_lost(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except StaleLeaseError:
            self.lost.set()
        except Exception:
            _log.exception("a fault in the engine; the saga concerned stalls until it is recovered")


def _unrepeatable(running: RunningSaga, command: Command) -> bool:
    """Whether a successor must take this call for made, as it is written down: not making it would undo the saga."""
    return isinstance(command, CallAction) and not running.definition.steps[command.step].keyed


def _count_rest(saga: Saga, now: float) -> None:
    rested(saga.namespace, saga.definition, saga.phase.value).inc()
    duration(saga.namespace, saga.definition, saga.phase.value).observe(now - saga.accepted_at)


def _overdue(running: RunningSaga, now: float) -> float:
    at = running.saga.wake_at if running.saga.phase in _MOVING else None
    return 0.0 if at is None else now - at
