"""What the comparison of objects and engine settles, and what it must leave alone."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from kompensa.cluster.conditions import timestamp
from kompensa.cluster.engine_client import ActiveSaga
from kompensa.cluster.kube import NotFoundError
from kompensa.handlers import sweep as sweep_module
from kompensa.handlers.seen import Seen
from kompensa.handlers.sweep import Sweep
from kompensa.handlers.vanished import Vanished

OLD = "2020-01-01T00:00:00Z"


class Engine:
    def __init__(self, *active: str, namespace: str = "shop") -> None:
        self.active = active
        self.namespace = namespace
        self.settled: list[str] = []

    async def active_object_sagas(self) -> AsyncIterator[ActiveSaga]:
        for saga in self.active:
            yield ActiveSaga(id=saga, namespace=self.namespace)

    async def object_deleted(self, saga: str, policy: str | None) -> None:
        assert policy is None, "the policy that the saga was started with holds"
        self.settled.append(saga)


class Cluster:
    """Live Saga objects by uid, with the time of their creation."""

    def __init__(self, **live: str) -> None:
        self.live = live

    async def each(self, _: object, __: str | None, *, metadata_only: bool) -> AsyncIterator[dict[str, Any]]:
        for uid, created in self.live.items():
            yield {"metadata": {"uid": uid, "name": uid, "namespace": "shop", "creationTimestamp": created}}

    async def get(self, _: object, namespace: str, name: str) -> dict[str, Any]:
        if name not in self.live:
            raise NotFoundError(name)
        return {"metadata": {"uid": name, "name": name, "namespace": namespace}}


class Sagas:
    def __init__(self, *delivered: str) -> None:
        self.delivered = set(delivered)
        self.offered: list[str] = []
        self.taken: set[str] = set()
        self.repeated: list[str] = []

    async def offer(self, seen: Seen) -> None:
        self.offered.append(seen.uid)

    async def repeat(self, seen: Seen) -> None:
        self.repeated.append(seen.uid)

    def told(self) -> frozenset[str]:
        return frozenset(self.taken)


def sweep_of(cluster: Cluster, engine: Engine, sagas: Sagas, namespaces: Sequence[str] = ()) -> Sweep:
    vanished = Vanished(cluster, engine, (), namespaces)  # type: ignore[arg-type]
    return Sweep(cluster, engine, sagas, vanished, namespaces)  # type: ignore[arg-type]


async def test_a_saga_whose_object_is_gone_is_settled_and_the_others_are_not() -> None:
    engine = Engine("kept", "gone")
    await sweep_of(Cluster(kept=OLD), engine, Sagas("kept")).once()
    assert engine.settled == ["gone"]


async def test_a_saga_is_settled_once_however_long_it_stays_parked() -> None:
    engine = Engine("gone")
    sweep = sweep_of(Cluster(), engine, Sagas())
    await sweep.once()
    await sweep.once()
    assert engine.settled == ["gone"]


async def test_a_saga_of_a_namespace_that_is_not_watched_is_left_alone() -> None:
    engine = Engine("elsewhere", namespace="other")
    await sweep_of(Cluster(), engine, Sagas(), namespaces=["shop"]).once()
    assert engine.settled == []


async def test_an_object_that_the_watch_never_delivered_is_brought_in_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_module, "LATE", 0.0)
    sagas = Sagas("delivered")
    sweep = sweep_of(Cluster(delivered=OLD, missed=OLD), Engine(), sagas)
    await sweep.once()
    assert sagas.offered == ["missed"]
    assert "1 Saga" in sweep.finding()


async def test_a_saga_that_the_engine_took_and_no_longer_lists_is_asked_for_again() -> None:
    sagas = Sagas("running", "lost")
    sagas.taken = {"running", "lost", "gone"}
    await sweep_of(Cluster(running=OLD, lost=OLD), Engine("running"), sagas).once()
    assert sagas.repeated == ["lost"]


async def test_an_object_too_new_to_be_delivered_is_waited_for() -> None:
    sagas = Sagas()
    sweep = sweep_of(Cluster(new=timestamp(datetime.now(UTC))), Engine(), sagas)
    sweep._started = 0.0
    await sweep.once()
    assert sagas.offered == []
    assert sweep.finding() == ""


async def test_what_no_longer_lives_is_not_remembered() -> None:
    sagas = Sagas("kept", "gone")
    await sweep_of(Cluster(kept=OLD), Engine(), sagas).once()
    assert sagas.delivered == {"kept"}
