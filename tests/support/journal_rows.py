"""Rows and writes for tests of the journal, built from a few words."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from kompensa.journal.errors import JournalUnavailableError
from kompensa.journal.group_commit import GroupCommit
from kompensa.journal.port import Journal
from kompensa.journal.records import Acceptance, Lease, SagaRow, Transition


def new_id() -> str:
    return str(uuid4())


def acceptance(saga_id: str | None = None, **columns: Any) -> Acceptance:
    """The first write of a saga of shard 0."""
    given: dict[str, Any] = {
        "id": saga_id or new_id(),
        "namespace": "shop",
        "definition": "order",
        "shard": 0,
        "version": 1,
        "phase": "Running",
        "settled": False,
        "created_at": time.time(),
        "origin": '{"input":{}}',
        "state": '{"step":1}',
    }
    return Acceptance(SagaRow(**{**given, **columns}), '[{"kind":"SagaAccepted"}]')


def transition(saga_id: str, version: int = 2, **columns: Any) -> Transition:
    """A later write."""
    given: dict[str, Any] = {
        "phase": "Running",
        "settled": False,
        "state": f'{{"step":{version}}}',
        "log": f'[{{"kind":"Step{version}"}}]',
    }
    return Transition(id=saga_id, version=version, **{**given, **columns})


def ended(saga_id: str, version: int = 2, *, expires_in: float = 3600.0, **columns: Any) -> Transition:
    """The last write of a saga that succeeded."""
    now = time.time()
    given = {"phase": "Succeeded", "settled": True, "finished_at": now, "expires_at": now + expires_in}
    return transition(saga_id, version, **{**given, **columns})


async def joined(journal: Journal, engine: str = "one", *, ttl: float = 60.0) -> Lease:
    """A lease."""
    return (await journal.leases.join(engine, ttl=ttl, previous=None)).lease


async def written(journal: Journal, lease: Lease, *writes: Acceptance | Transition) -> frozenset[str]:
    """Write one batch and return what was not written."""
    return await journal.sagas.writer(lease).write(writes, repeated=False)


def group_commit(journal: Journal, lease: Lease) -> GroupCommit:
    """Return a group commit under `lease` that reports its commits to nothing."""
    return GroupCommit(journal.sagas.writer(lease), SilentObserver())


class SilentObserver:
    """A commit observer that does nothing."""

    def committed(self, size: int, seconds: float) -> None:
        pass

    def unavailable(self, error: JournalUnavailableError, attempt: int) -> None:
        pass
