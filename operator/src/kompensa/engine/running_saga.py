"""One saga in an engine's memory, and how it is written to the journal and read back.

The input is stored once, with the origin, and not again with every state.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Literal, TypeAlias

import msgspec

from kompensa.journal.records import Acceptance, SagaRow, Signal, Transition
from kompensa.model.commands import LogEntry
from kompensa.model.definition import Definition
from kompensa.model.events import Event
from kompensa.model.saga import Phase, Saga
from kompensa.model.view import SagaView, shown_phase, view

DeletionPolicy: TypeAlias = Literal["Compensate", "Orphan"]
_encoder = msgspec.json.Encoder()


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a saga was started with and keeps."""

    input: dict[str, Any]
    deletion_policy: DeletionPolicy = "Compensate"
    ttl: float | None = None


class _Stored(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What changes from write to write. `detached`: its object is gone, nobody is to be told any more."""

    saga: Saga
    generation: int | None = None
    detached: bool = False


class StatusWritten(msgspec.Struct, frozen=True):
    """The object says what this state says."""

    saga: Saga


class InboxItem(msgspec.Struct, frozen=True):
    """Something for the driver: an event of the model, with the signal it comes from, or the object was written."""

    event: Event | StatusWritten | None
    signal: Signal | None = None


class RunningSaga:
    """Everything an engine knows of one saga. Only its driver changes it."""

    __slots__ = (
        "counted",
        "definition",
        "detached",
        "driving",
        "durable",
        "entries",
        "generation",
        "inbox",
        "key",
        "object_uid",
        "origin",
        "reported",
        "saga",
        "shard",
        "shown",
        "signals",
        "version",
        "waiters",
        "weight",
    )

    def __init__(self, definition: Definition, saga: Saga, origin: Origin, *, shard: int, version: int = 0) -> None:
        self.definition = definition
        self.saga = saga
        self.shown = saga
        """The newest state that may be told: one whose end is durable, if it is an end."""
        self.durable: Saga | None = None
        """The state that was written last."""
        self.origin = origin
        self.shard = shard
        self.version = version
        self.weight = 0
        """Bytes of its input, as JSON."""
        self.key: str | None = None
        self.object_uid: str | None = None
        self.generation: int | None = None
        self.detached = False
        self.reported = False
        self.counted = False
        self.entries: list[LogEntry] = []
        self.inbox: deque[InboxItem] = deque()
        self.driving = False
        self.signals: set[int] = set()
        self.waiters: list[asyncio.Future[None]] = []

    @property
    def has_object(self) -> bool:
        return self.object_uid is not None and not self.detached

    @property
    def settled(self) -> bool:
        """Nobody has to do anything for it any more, unless a person asks."""
        return resting(self.saga) and (not self.has_object or self.reported)

    @property
    def idle(self) -> bool:
        """Whoever reads its row knows all of it, and nobody here is at it or waits for it."""
        at_rest = self.saga is self.durable and self.saga.settled and not self.driving and not self.inbox
        return at_rest and not self.waiters and (self.settled or not resting(self.saga))

    def view(self) -> SagaView:
        return view(self.definition, self.shown)

    def acceptance(self, retention: float) -> Acceptance:
        """Its first write."""
        self.version = 1
        row = SagaRow(
            id=self.saga.id,
            namespace=self.saga.namespace,
            name=None if self.saga.name == self.saga.id else self.saga.name,
            definition=self.saga.definition,
            idempotency_key=self.key,
            object_uid=self.object_uid,
            shard=self.shard,
            version=self.version,
            phase=shown_phase(self.saga),
            settled=self.settled,
            created_at=self.saga.accepted_at,
            finished_at=self.saga.ended_at,
            expires_at=self._expires_at(retention),
            origin=_encoder.encode(self.origin).decode(),
            state=self._state(),
        )
        return Acceptance(row, self._log())

    def transition(self, retention: float, signals: tuple[int, ...]) -> Transition:
        """Its next write."""
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

    def rest(self) -> None:
        """Tell those who wait for the end."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)
        self.waiters.clear()

    def _state(self) -> str:
        saga = msgspec.structs.replace(self.saga, input={})
        return _encoder.encode(_Stored(saga=saga, generation=self.generation, detached=self.detached)).decode()

    def _log(self) -> str:
        entries, self.entries = self.entries, []
        return _encoder.encode(entries).decode()

    def _expires_at(self, retention: float) -> float | None:
        """An object's ttlSecondsAfterFinished is about the object; its saga stays as long as any other."""
        if not self.saga.terminal or self.saga.ended_at is None:
            return None
        own = None if self.object_uid is not None else self.origin.ttl
        return self.saga.ended_at + (retention if own is None else own)


def resting(saga: Saga) -> bool:
    """It has ended, or waits for a person with no call under way."""
    return saga.terminal or (saga.phase is Phase.INTERVENTION_REQUIRED and saga.settled)


def stored_saga(row: SagaRow) -> tuple[Saga, Origin]:
    """The state and origin in a row."""
    stored = msgspec.json.decode(row.state, type=_Stored)
    origin = msgspec.json.decode(row.origin, type=Origin)
    return msgspec.structs.replace(stored.saga, input=origin.input), origin


def revived(row: SagaRow, definition: Definition) -> RunningSaga:
    """The saga of a row, as its last durable write left it."""
    saga, origin = stored_saga(row)
    stored = msgspec.json.decode(row.state, type=_Stored)
    running = RunningSaga(definition, saga, origin, shard=row.shard, version=row.version)
    running.key = row.idempotency_key
    running.object_uid = row.object_uid
    running.generation = stored.generation
    running.detached = stored.detached
    running.reported = row.settled
    running.counted = resting(saga)
    running.durable = saga
    running.weight = len(row.origin)
    return running
