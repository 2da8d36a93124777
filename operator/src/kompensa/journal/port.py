"""The journal as the engine sees it: a few narrow protocols, which PostgreSQL implements (in tests, memory does, too).

Every method may raise JournalUnavailableError; its docstring names the other errors. None of them retries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, Protocol, TypeAlias

from kompensa.journal.group_commit import BatchWriter
from kompensa.journal.records import (
    DefinitionRow,
    Grant,
    Lease,
    LogRow,
    ParticipantRow,
    SagaFilter,
    SagaRow,
    Signal,
    SignalKind,
)

Topic: TypeAlias = Literal["signals", "shards", "catalogue"]


class Leases(Protocol):
    """Leases of engines, and the shards that go with them."""

    async def join(self, engine: str, *, ttl: float, previous: Lease | None) -> Grant:
        """Enter under a new epoch and take what is free.

        A process that starts (`previous` None) takes its name's own lease back at once: the pod has restarted, the
        old process is gone or fenced by the new epoch. A process that lost its lease must not: the engine that
        has its name now is alive.

        Raises
        ------
        NameTakenError
        """
        ...

    async def renew(self, lease: Lease, *, ttl: float) -> Grant:
        """Prolong; fence engines whose lease has ended; take free shards up to the fair part.

        Raises
        ------
        StaleLeaseError
        """
        ...

    async def release(self, lease: Lease, shards: Collection[int]) -> None:
        """Give shards back that hold no saga in our memory."""
        ...

    async def leave(self, lease: Lease) -> None:
        """Give everything back, so that a successor need not wait for the lease to end."""
        ...


class Sagas(Protocol):
    """Reading and ending sagas; writing them goes through `writer` and a GroupCommit."""

    def writer(self, lease: Lease) -> BatchWriter: ...

    async def unsettled(self, shards: Collection[int], *, after: str | None, limit: int) -> list[SagaRow]:
        """The sagas that a new owner must load, ordered by id."""
        ...

    async def find(self, saga_id: str) -> SagaRow | None: ...

    async def find_by_key(self, namespace: str, definition: str, idempotency_key: str) -> SagaRow | None: ...

    async def page(self, wanted: SagaFilter) -> list[SagaRow]: ...

    async def log(self, saga_id: str) -> list[LogRow]: ...

    async def parked(self, shards: Collection[int]) -> int:
        """How many sagas of these shards wait for a person."""
        ...

    async def prune(self, *, limit: int) -> int:
        """Delete settled sagas that have expired, with their log, the oldest first; return how many."""
        ...


class Signals(Protocol):
    """Requests to sagas. Any engine may receive one; the saga's owner acts on it."""

    async def ask(self, saga_id: str, kind: SignalKind, reason: str, *, generation: int | None = None) -> None:
        """Make the request durable and notify the owner."""
        ...

    async def asked(self, shards: Collection[int], *, after: int = 0, limit: int = 1000) -> list[Signal]:
        """Requests for sagas of these shards with ids beyond `after`, oldest first."""
        ...

    async def withdraw(self, ids: Collection[int]) -> None:
        """Delete requests that came too late to have an effect."""
        ...


class Catalogue(Protocol):
    """Participants and definitions.

    A deletion with an `object_uid` touches only what that Kubernetes object declared, and returns whether it did.
    """

    async def participants(self) -> list[ParticipantRow]: ...

    async def put_participant(self, row: ParticipantRow) -> None: ...

    async def delete_participant(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool: ...

    async def definitions(self) -> list[DefinitionRow]:
        """The current revisions."""
        ...

    async def definition(self, namespace: str, name: str, revision: str) -> DefinitionRow | None: ...

    async def put_definition(self, row: DefinitionRow, *, instead_of: str | None = None) -> bool:
        """Make a revision the current one.

        With `instead_of` only if that revision, declared by the same object, still is; returns whether it was done.
        """
        ...

    async def delete_definition(self, namespace: str, name: str, *, object_uid: str | None = None) -> bool:
        """Let no more sagas start by it; running sagas keep their revision."""
        ...


class Journal(Protocol):
    """All of it, with its life."""

    @property
    def leases(self) -> Leases: ...

    @property
    def sagas(self) -> Sagas: ...

    @property
    def signals(self) -> Signals: ...

    @property
    def catalogue(self) -> Catalogue: ...

    async def open(self) -> None:
        """Connect and migrate."""
        ...

    async def close(self) -> None: ...

    def watch(self, topic: Topic, changed: Callable[[], None]) -> None:
        """Call `changed` when a process has changed what the topic names.

        A hint that makes things quick: a notification can be lost, so the caller also looks now and then.
        """
        ...
