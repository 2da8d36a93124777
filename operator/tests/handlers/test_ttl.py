"""Finished Sagas are deleted when due, and a namespace that refuses deletions delays no other."""

import asyncio

import pytest

from kompensa.cluster.kube import RefusedError
from kompensa.handlers import ttl
from kompensa.handlers.ttl import FinishedSagas, due_at
from kompensa.handlers.watched_object import WatchedObject
from tests.support.fake_kube import FakeKube, metadata_of, refusing
from tests.support.waiting import until

NOON = "2026-03-01T12:00:00Z"
NOON_SECONDS = 1_772_366_400.0


def finished(name: str = "order-1", *, namespace: str = "shop", completed: str = NOON) -> WatchedObject:
    return WatchedObject({"metadata": metadata_of(name, namespace=namespace), "status": {"completionTime": completed}})


def sagas_of(kube: FakeKube) -> FinishedSagas:
    return FinishedSagas(kube)  # type: ignore[arg-type]


def due(sagas: FinishedSagas, now: float) -> list[str]:
    names = []
    while (entry := sagas._next(now)) is not None:
        names.append(entry[1])
    return names


def test_a_ttl_counts_from_completion() -> None:
    assert due_at(60, NOON) == NOON_SECONDS + 60
    assert due_at(None, NOON) is None
    assert due_at(60, None) is None


def test_a_changed_ttl_replaces_the_old_one() -> None:
    sagas = sagas_of(FakeKube())
    sagas.note(finished(), 10)
    sagas.note(finished(), 100)
    assert due(sagas, NOON_SECONDS + 50) == []
    assert due(sagas, NOON_SECONDS + 100) == ["order-1"]


def test_a_saga_whose_ttl_is_taken_away_is_kept() -> None:
    sagas = sagas_of(FakeKube())
    sagas.note(finished(), 10)
    sagas.note(finished(), None)
    assert due(sagas, NOON_SECONDS + 50) == []


def test_a_saga_deleted_by_hand_is_forgotten() -> None:
    sagas = sagas_of(FakeKube())
    sagas.note(finished(), 10)
    sagas.note(WatchedObject(finished().raw, deleted=True), 10)
    assert len(sagas) == 0
    assert due(sagas, NOON_SECONDS + 50) == []


async def test_a_namespace_that_refuses_deletions_is_asked_once_and_delays_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ttl, "DELETES_PER_SECOND", 1000.0)
    forbidden = RefusedError("sagas is forbidden", status=403)
    kube = FakeKube(refuses=refusing(forbidden, "delete", namespace="broken"))
    sagas = sagas_of(kube)
    for number in range(50):
        sagas.note(finished(f"old-{number}", namespace="broken", completed="2020-01-01T00:00:00Z"), 0)
    sagas.note(finished(completed="2020-01-02T00:00:00Z"), 0)
    running = asyncio.create_task(sagas.run())
    await until(lambda: kube.deleted, "the other namespace's Saga to be deleted")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert kube.asked == [("delete", "broken"), ("delete", "shop")]
    assert len(sagas) >= 50
