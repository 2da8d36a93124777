"""A saga as text in its row of the journal, and read back: each row is decoded once.

The input is stored once, with the origin, and not again with every state.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kompensa.journal.records import SagaRow
from kompensa.model.commands import LogEntry
from kompensa.model.saga import Saga
from kompensa.model.specs import DeletionPolicy

_encoder = msgspec.json.Encoder()


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a saga that never changes. `ttl` is in seconds."""

    input: dict[str, Any]
    deletion_policy: DeletionPolicy = "Compensate"
    ttl: float | None = None


class _State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part that changes from write to write. The saga in it has no input."""

    saga: Saga
    generation: int | None = None
    detached: bool = False


class StoredSaga(msgspec.Struct, frozen=True, kw_only=True):
    """A saga as its row has it.

    Attributes
    ----------
    saga
        Its state, with the input.
    generation
        The generation of its Saga object that the engine last heard of.
    detached
        Its Saga object is gone, so no status is written any more.
    """

    saga: Saga
    origin: Origin
    generation: int | None
    detached: bool


def stored_saga(row: SagaRow) -> StoredSaga:
    """Decode a row."""
    state = msgspec.json.decode(row.state, type=_State)
    origin = stored_origin(row)
    saga = msgspec.structs.replace(state.saga, input=origin.input)
    return StoredSaga(saga=saga, origin=origin, generation=state.generation, detached=state.detached)


def stored_origin(row: SagaRow) -> Origin:
    """Decode only the origin."""
    return msgspec.json.decode(row.origin, type=Origin)


def state_text(saga: Saga, generation: int | None, *, detached: bool) -> str:
    """Encode a saga for `SagaRow.state`."""
    without_input = msgspec.structs.replace(saga, input={})
    return _encoder.encode(_State(saga=without_input, generation=generation, detached=detached)).decode()


def origin_text(origin: Origin) -> str:
    """Encode an origin for `SagaRow.origin`."""
    return _encoder.encode(origin).decode()


def log_text(entries: list[LogEntry]) -> str:
    """Encode the entries of one write, in their order."""
    return _encoder.encode(entries).decode()


def input_bytes(saga_input: dict[str, Any]) -> int:
    """The size of an input as JSON."""
    return len(_encoder.encode(saga_input))
