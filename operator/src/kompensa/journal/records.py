"""The journal's records, as plain frozen data.

`state`, `origin` and log entries are JSON text that the journal carries and never looks into: the engine encodes and
decodes them. So storage does not change when the model does, and the other columns are those that queries need.
Times are seconds since the epoch, UTC. Ids are UUIDs as lower-case text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SignalKind = Literal["cancel", "suspend", "resume", "object-deleted-compensate", "object-deleted-orphan"]


class SagaRow(msgspec.Struct, frozen=True, kw_only=True):
    """One saga at its newest durable version.

    `settled` means that the engine has nothing to do any more, unless a person asks: the saga has ended or is parked,
    and its object, if it has one, shows that. `name` is None if it is the id.
    """

    id: str
    namespace: str
    definition: str
    shard: int
    version: int
    phase: str
    settled: bool
    created_at: float
    origin: str
    state: str
    name: str | None = None
    idempotency_key: str | None = None
    object_uid: str | None = None
    epoch: int = 0
    finished_at: float | None = None
    expires_at: float | None = None


class Acceptance(msgspec.Struct, frozen=True):
    """The first durable write of a saga: its row, and the first entries of its log."""

    row: SagaRow
    log: str


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A later durable write of one saga. `version` counts its writes; `signals` are the ids it answers."""

    id: str
    version: int
    phase: str
    settled: bool
    state: str
    log: str
    finished_at: float | None = None
    expires_at: float | None = None
    signals: tuple[int, ...] = ()


class LogRow(msgspec.Struct, frozen=True):
    """The entries of one durable write, a JSON list, in the order in which they happened."""

    version: int
    epoch: int
    entries: str


class Signal(msgspec.Struct, frozen=True):
    """A request to a saga, waiting for its owner. `generation` is its object's at the time of the request."""

    id: int
    saga_id: str
    kind: SignalKind
    reason: str
    generation: int | None = None


class SagaFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sagas to list, newest first; `after` is the id of the last one of the page before.

    `active` are those that have not ended; one that waits for a person has not.
    """

    namespace: str | None = None
    name: str | None = None
    phase: str | None = None
    definition: str | None = None
    source: Literal["object", "api"] | None = None
    active: bool | None = None
    after: str | None = None
    limit: int = 100


class ParticipantRow(msgspec.Struct, frozen=True, kw_only=True):
    """A participant's spec as given, and its bearer token, which is never shown again.

    `object_uid` is that of the Kubernetes object that declared it; None when a person or a file did.
    """

    namespace: str
    name: str
    spec: str
    token: str | None = None
    object_uid: str | None = None


class DefinitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable revision of a definition; `current` is the one that new sagas get.

    `object_uid`, which may change, is that of the Kubernetes object that declared it last; None for a person or a file.
    """

    namespace: str
    name: str
    revision: str
    spec: str
    current: bool = True
    object_uid: str | None = None


class Lease(msgspec.Struct, frozen=True):
    """An engine's right to write, under an epoch that no other incarnation ever had or will have."""

    engine: str
    epoch: int


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The shards of an engine after joining or renewing.

    Attributes
    ----------
    shards
        All it owns now.
    gained
        Those of them that are new: their unsettled sagas must be loaded.
    surplus
        How many shards it should give back, as soon as they are empty, so that others get their part.
    fenced
        Names of the engines whose lease had ended and was taken away.
    """

    lease: Lease
    shards: frozenset[int]
    gained: frozenset[int]
    surplus: int = 0
    fenced: tuple[str, ...] = ()
