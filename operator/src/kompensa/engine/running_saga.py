"""One saga in an engine's memory.

Only its own methods change it. The `Runner` calls those that advance it, one inbox item at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec

from kompensa.engine.saga_rows import Origin, StoredSaga, input_bytes, log_text, origin_text, state_text
from kompensa.journal.records import Acceptance, SagaRow, Signal, Transition
from kompensa.model.commands import Command, LogEntry
from kompensa.model.definition import Definition
from kompensa.model.events import Event
from kompensa.model.saga import Phase, Saga
from kompensa.model.transition import advance
from kompensa.model.view import SagaView, shown_phase, view


class StatusWritten(msgspec.Struct, frozen=True):
    """The Saga object's status shows this state."""

    saga: Saga


class InboxItem(msgspec.Struct, frozen=True):
    """The next thing for a saga to take in.

    It is an event of the model, with its signal if it comes from one, or a `StatusWritten`. A signal without an event
    concerns only the Saga object.
    """

    event: Event | StatusWritten | None
    signal: Signal | None = None


class RunningSaga:
    """A saga, its durable state, and the requests that wait for its end.

    Attributes
    ----------
    saga
        Its newest state.
    shown
        The newest state that may be shown: an end is shown only once it is durable.
    durable
        The state of the last write, or None before the first.
    version
        How many writes it has had.
    weight
        The size of its input in bytes, as JSON.
    idempotency_key, object_uid, generation
        Given by the request: its key, and the uid and generation of its Saga object. None if it gave none.
    reported
        The Saga object's status shows the newest state.
    driving
        A task is emptying the inbox.
    """

    __slots__ = (
        "_counted",
        "_detached",
        "_entries",
        "_seen_signals",
        "_waiters",
        "definition",
        "driving",
        "durable",
        "generation",
        "idempotency_key",
        "inbox",
        "object_uid",
        "origin",
        "reported",
        "saga",
        "shard",
        "shown",
        "version",
        "weight",
    )

    def __init__(
        self,
        definition: Definition,
        saga: Saga,
        origin: Origin,
        *,
        shard: int,
        idempotency_key: str | None = None,
        object_uid: str | None = None,
        generation: int | None = None,
    ) -> None:
        self.definition = definition
        self.origin = origin
        self.weight = input_bytes(origin.input)
        self.shard = shard
        self.idempotency_key = idempotency_key
        self.object_uid = object_uid
        self.generation = generation
        self.saga = saga
        self.shown = saga
        self.durable: Saga | None = None
        self.version = 0
        self.reported = False
        self.driving = False
        self.inbox: deque[InboxItem] = deque()
        self._detached = False
        self._counted = False
        self._entries: list[LogEntry] = []
        self._seen_signals: set[int] = set()
        self._waiters: list[asyncio.Future[None]] = []

    @classmethod
    def recovered(cls, row: SagaRow, stored: StoredSaga, definition: Definition) -> RunningSaga:
        """The saga of a row, as its last durable write left it."""
        running = cls(
            definition,
            stored.saga,
            stored.origin,
            shard=row.shard,
            idempotency_key=row.idempotency_key,
            object_uid=row.object_uid,
            generation=stored.generation,
        )
        running.version = row.version
        running.durable = stored.saga
        running.reported = row.settled
        running._detached = stored.detached
        running._counted = running.resting
        return running

    @property
    def resting(self) -> bool:
        """It has ended, or waits for a person with no call under way."""
        return resting(self.saga)

    @property
    def has_object(self) -> bool:
        """A Saga object shows it."""
        return self.object_uid is not None and not self._detached

    @property
    def unreported(self) -> bool:
        """Its newest state has yet to be written to its Saga object."""
        return self.has_object and not self.reported

    @property
    def settled(self) -> bool:
        """The engine has nothing to do for it any more, unless a person asks."""
        return self.resting and not self.unreported

    @property
    def idle(self) -> bool:
        """Its row says everything about it, and nothing in this engine works on it or waits for it."""
        at_rest = self.saga is self.durable and self.saga.settled and not self.driving and not self.inbox
        return at_rest and not self._waiters and (self.settled or not self.resting)

    @property
    def wake_at(self) -> float | None:
        """When its next timer is due, in seconds since the epoch."""
        return self.saga.wake_at

    def view(self) -> SagaView:
        """Its present view."""
        return view(self.definition, self.shown)

    def begin_driving(self) -> bool:
        """Claim the inbox; False if another task has it."""
        if self.driving:
            return False
        self.driving = True
        return True

    def end_driving(self) -> None:
        """Let the next one claim the inbox."""
        self.driving = False

    def advance(self, event: Event, now: float) -> tuple[Command, ...]:
        """Take the state that the model decides on, and return the commands that go with it."""
        decided = advance(self.definition, self.saga, event, now)
        self._entries += decided.log
        if decided.saga is not self.saga:
            self.saga = decided.saga
            self.reported = self._counted = False
        return decided.commands

    def sees_first(self, signal: Signal) -> bool:
        """Whether this signal was never seen before. From now on it was."""
        if signal.id in self._seen_signals:
            return False
        self._seen_signals.add(signal.id)
        return True

    def note(self, signal: Signal, now: float) -> None:
        """Keep what a signal says of the Saga object."""
        if signal.generation is not None:
            self.generation = signal.generation
        if signal.kind.startswith("object-deleted"):
            self._detached = True
            self._entries.append(LogEntry(at=now, kind="ObjectDeleted", reason=signal.reason))

    def note_status(self, written: StatusWritten, now: float) -> bool:
        """Keep that the status was written; False if the saga has moved on since, or knew."""
        if self.saga is not written.saga or self.reported:
            return False
        self.reported = True
        self._entries.append(LogEntry(at=now, kind="StatusWritten"))
        return True

    def acceptance(self, retention: float) -> Acceptance:
        """Its first write. An ended saga is kept for `retention` seconds, unless its origin says otherwise."""
        self.version = 1
        row = SagaRow(
            id=self.saga.id,
            namespace=self.saga.namespace,
            name=None if self.saga.name == self.saga.id else self.saga.name,
            definition=self.saga.definition,
            idempotency_key=self.idempotency_key,
            object_uid=self.object_uid,
            shard=self.shard,
            version=self.version,
            phase=shown_phase(self.saga),
            settled=self.settled,
            created_at=self.saga.accepted_at,
            finished_at=self.saga.ended_at,
            expires_at=self._expires_at(retention),
            origin=origin_text(self.origin),
            state=self._state(),
        )
        return Acceptance(row, self._log())

    def transition(self, retention: float, signals: tuple[int, ...]) -> Transition:
        """Its next write, which answers these signals."""
        self.version += 1
        return Transition(
            id=self.saga.id,
            version=self.version,
            phase=shown_phase(self.saga),
            settled=self.settled,
            state=self._state(),
            log=self._log(),
            finished_at=self.saga.ended_at,
            expires_at=self._expires_at(retention),
            signals=signals,
        )

    def written(self) -> None:
        """Note that the newest state is durable."""
        self.durable = self.saga

    def show(self) -> None:
        """Let the newest state be shown."""
        self.shown = self.saga

    def come_to_rest(self) -> bool:
        """Wake the requests that wait. True the first time for this state, so that each rest is counted once."""
        self.wake_waiters()
        first, self._counted = not self._counted, True
        return first

    async def wait_for_rest(self, timeout: float) -> None:
        """Wait until the saga has ended or is parked, for at most `timeout` seconds."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def wake_waiters(self) -> None:
        """Wake the requests that wait for the saga: it rests, or this engine lets go of it."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _state(self) -> str:
        return state_text(self.saga, self.generation, detached=self._detached)

    def _log(self) -> str:
        entries, self._entries = self._entries, []
        return log_text(entries)

    def _expires_at(self, retention: float) -> float | None:
        """A Saga object's ttlSecondsAfterFinished is about the object; its saga is kept as long as any other."""
        if not self.saga.terminal or self.saga.ended_at is None:
            return None
        own = None if self.object_uid is not None else self.origin.ttl
        return self.saga.ended_at + (retention if own is None else own)


def resting(saga: Saga) -> bool:
    """Whether it has ended, or waits for a person with no call under way."""
    return saga.terminal or (saga.phase is Phase.INTERVENTION_REQUIRED and saga.settled)
