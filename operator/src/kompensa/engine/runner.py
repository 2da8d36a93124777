"""Runs the sagas of one lease: from an item in a saga's inbox to what follows from it.

Items of one saga are taken strictly one after the other. A task that brings an item while no other task is at the
inbox empties it. The driver's decisions lead to calls, to a timer and to a status. A call's reply and a written status
are the next items.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from kompensa.engine.calls import Call, Calls
from kompensa.engine.driver import Driver
from kompensa.engine.lease_tasks import LeaseTasks
from kompensa.engine.metrics import REJECTED, duration, rested
from kompensa.engine.recovery import Recovery
from kompensa.engine.reporter import Reporter
from kompensa.engine.running_saga import InboxItem, RunningSaga, StatusWritten, resting
from kompensa.engine.saga_log import log_begin, log_end
from kompensa.engine.saga_table import SagaTable
from kompensa.engine.timers import Timers
from kompensa.journal.errors import RejectedError, SupersededError
from kompensa.model.commands import CallAction, Command, Finish
from kompensa.model.events import Recovered, TimerDue
from kompensa.model.saga import Saga

_log = structlog.get_logger(__name__)
# A timer that changed nothing is due again after this long, so that a fault in a rule cannot become a busy loop.
_UNCHANGED_RETRY_SECONDS = 1.0


class Runner:
    """Takes items, and carries out what the driver decides."""

    def __init__(
        self,
        sagas: SagaTable,
        *,
        recovery: Recovery,
        driver: Driver,
        calls: Calls,
        reporter: Reporter,
        tasks: LeaseTasks,
        clock: Callable[[], float],
        on_end: Callable[[Saga], None] | None = None,
    ) -> None:
        self._sagas = sagas
        self._recovery = recovery
        self._driver = driver
        self._calls = calls
        self._reporter = reporter
        self._tasks = tasks
        self._clock = clock
        self._on_end = on_end
        self._timers = Timers(clock, self._timer_due)
        self.calling: set[asyncio.Task[None]] = set()
        """Calls under way, and those that wait for a slot."""

    async def accept(self, running: RunningSaga, commands: tuple[Command, ...]) -> bool:
        """Make a new saga durable and start it; False if its id or idempotency key exists already."""
        self._sagas.enter(running)
        accepted = False
        running.begin_driving()
        try:
            accepted = await self._driver.accept(running)
            if accepted:
                log_begin(running)
                self._carry_out(running, commands)
        finally:
            running.end_driving()
            if not accepted:
                self.drop(running)
        if not accepted:
            # Recovery may have passed over the older saga of this id while the new one was in memory.
            self._tasks.spawn(self._recovery.reload(running.saga.id, self.recovered))
        elif running.inbox:
            await self._run(running)
        return accepted

    def recovered(self, running: RunningSaga) -> None:
        """Go on with a saga where the journal left it."""
        if running.resting:
            self._follow_up(running)
        else:
            self.deliver(running, InboxItem(Recovered()))

    def deliver(self, running: RunningSaga, item: InboxItem) -> None:
        """Put an item into a saga's inbox, and have it taken by a task of its own."""
        if self._put(running, item):
            self._tasks.spawn(self._run(running))

    def drop(self, running: RunningSaga) -> None:
        """Forget a saga: it is settled, was never accepted, or is another engine's."""
        if self._sagas.leave(running):
            self._timers.set(running.saga.id, None)

    async def drain(self) -> None:
        """Start no calls but those that the journal says were started, and wait for all that are under way."""
        self._driver.draining = True
        self._timers.close()
        while self.calling:
            await asyncio.wait(self.calling)

    def close(self) -> None:
        """Wake no saga any more."""
        self._timers.close()

    def _put(self, running: RunningSaga, item: InboxItem) -> bool:
        """Put an item into the inbox, which from now on keeps the saga in memory.

        False if this copy of the saga has left memory: nothing that still comes can concern it. A signal stays in the
        journal and is found again.
        """
        if not self._sagas.holds(running):
            return False
        running.inbox.append(item)
        return True

    async def _take(self, running: RunningSaga, item: InboxItem) -> None:
        """Put an item into the inbox and see to it in this task."""
        if self._put(running, item):
            await self._run(running)

    async def _run(self, running: RunningSaga) -> None:
        """Empty a saga's inbox, and let the saga leave memory if it is settled."""
        before = running.saga
        try:
            await self._empty_inbox(running)
        except SupersededError as error:
            await self._read_again(running, error)
            return
        if running.driving or not self._sagas.holds(running):
            return
        if running.settled and not running.inbox:
            self.drop(running)
        elif running.saga is before:
            self._set_timer(running, at_least=self._clock() + _UNCHANGED_RETRY_SECONDS)

    async def _empty_inbox(self, running: RunningSaga) -> None:
        """Take item after item; return at once if another task is at it."""
        if not running.begin_driving():
            return
        try:
            while running.inbox:
                commands = await self._driver.take(running, running.inbox.popleft())
                if commands is not None:
                    self._carry_out(running, commands)
        except SupersededError:
            raise
        except RejectedError as error:
            # The journal would reject what this saga contains each time: it stalls, visibly, and the others go on.
            REJECTED.inc()
            _log.error("a saga cannot be journalled", saga=running.saga.id, error=str(error))
        finally:
            running.end_driving()

    def _carry_out(self, running: RunningSaga, commands: tuple[Command, ...]) -> None:
        running.show()
        for command in commands:
            self._start(running, command)
        self._follow_up(running)

    def _start(self, running: RunningSaga, command: Command) -> None:
        if isinstance(command, Finish) or (self._driver.draining and not _unrepeatable(running, command)):
            return
        task = self._tasks.spawn(self._call(running, command))
        self.calling.add(task)
        task.add_done_callback(self.calling.discard)

    async def _call(self, running: RunningSaga, command: Call) -> None:
        event = await self._calls.make(running, command)
        await self._take(running, InboxItem(event))

    def _follow_up(self, running: RunningSaga) -> None:
        """See to what a new state needs in addition to calls: a status, a timer, or rest."""
        self._sagas.count_suspended(running)
        if running.unreported:
            end = resting(running.shown)
            self._tasks.spawn(self._report_end(running) if end else self._reporter.report_progress(running))
        if running.resting:
            self._rest(running)
        else:
            self._set_timer(running)

    async def _report_end(self, running: RunningSaga) -> None:
        state = await self._reporter.report_end(running)
        await self._take(running, InboxItem(StatusWritten(state)))

    def _rest(self, running: RunningSaga) -> None:
        self._timers.set(running.saga.id, None)
        if running.come_to_rest():
            labels = running.saga.namespace, running.saga.definition, running.saga.phase.value
            rested(*labels).inc()
            duration(*labels).observe(self._clock() - running.saga.accepted_at)
            log_end(running)
            if self._on_end is not None and running.saga.terminal:
                self._on_end(running.saga)
        if running.settled and not running.inbox:
            self.drop(running)

    def _set_timer(self, running: RunningSaga, *, at_least: float = 0.0) -> None:
        at = running.wake_at
        self._timers.set(running.saga.id, None if at is None else max(at, at_least))

    def _timer_due(self, saga_id: str) -> None:
        running = self._sagas.get(saga_id)
        if running is not None:
            self.deliver(running, InboxItem(TimerDue()))

    async def _read_again(self, running: RunningSaga, error: SupersededError) -> None:
        _log.warning("the journal knows more of a saga than this engine, which reads it again", error=str(error))
        running.wake_waiters()
        self.drop(running)
        self._reporter.forget([running.saga.id])
        await self._recovery.reload(running.saga.id, self.recovered)


def _unrepeatable(running: RunningSaga, command: Command) -> bool:
    """Whether a successor must take this call, which is written down, as made: not making it would undo the saga."""
    return isinstance(command, CallAction) and not running.definition.steps[command.step].keyed
