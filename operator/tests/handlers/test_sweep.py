"""The comparison of objects and engine: which sagas it settles, and which it must leave alone."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from kompensa.client.engine_client import ActiveSaga, DeclaredObject
from kompensa.cluster.conditions import timestamp
from kompensa.cluster.kube import KubeError, NotFoundError, Presence, RefusedError, UnavailableError
from kompensa.cluster.resources import SAGAS, Resource
from kompensa.handlers import sweep as sweep_module
from kompensa.handlers.namespaces import WatchedNamespaces
from kompensa.handlers.sweep import Sweep
from kompensa.handlers.vanished import Vanished
from kompensa.handlers.watched_object import WatchedObject

OLD = "2020-01-01T00:00:00Z"


class Engine:
    def __init__(self, *active: str, namespace: str = "shop") -> None:
        self.active = dict.fromkeys(active, namespace)
        self.settled: list[str] = []

    async def active_object_sagas(self) -> AsyncIterator[ActiveSaga]:
        for saga, namespace in self.active.items():
            yield ActiveSaga(id=saga, namespace=namespace)

    async def declared_objects(self) -> list[DeclaredObject]:
        return []

    async def object_deleted(self, saga: str, policy: str | None) -> None:
        assert policy is None, "the policy that the saga was started with holds"
        self.settled.append(saga)


class Cluster:
    """Live Saga objects by uid, with the time of their creation; namespaces can be gone, or refuse to be listed."""

    def __init__(self, **live: str) -> None:
        self.live = live
        self.refused: dict[str | None, KubeError] = {}
        self.presences: dict[str, Presence] = {}
        self.unwatchable: set[str | None] = set()
        self.during_list: Callable[[], Awaitable[None]] | None = None

    async def each(self, _: object, namespace: str | None, *, metadata_only: bool) -> AsyncIterator[dict[str, Any]]:
        if namespace in self.refused:
            raise self.refused[namespace]
        for uid, created in self.live.items():
            if namespace in (None, "shop"):
                yield {"metadata": {"uid": uid, "name": uid, "namespace": "shop", "creationTimestamp": created}}
        if self.during_list is not None:
            await self.during_list()

    async def presence(self, namespace: str) -> Presence:
        return self.presences.get(namespace, Presence.PRESENT)

    async def may(self, verb: str, resource: Resource, namespace: str | None) -> bool:
        assert verb == "watch"
        return resource is not SAGAS or namespace not in self.unwatchable

    async def get(self, _: object, namespace: str, name: str) -> dict[str, Any]:
        if name not in self.live:
            raise NotFoundError(name)
        return {"metadata": {"uid": name, "name": name, "namespace": namespace}}


class Sagas:
    def __init__(self, *delivered: str) -> None:
        self.delivered = dict.fromkeys(delivered, "shop")
        self.offered: list[str] = []
        self.taken: set[str] = set()
        self.repeated: list[str] = []

    async def offer(self, seen: WatchedObject) -> None:
        self.offered.append(seen.uid)

    async def repeat(self, seen: WatchedObject) -> None:
        self.repeated.append(seen.uid)

    def accepted(self) -> frozenset[str]:
        return frozenset(self.taken)


def sweep_of(cluster: Cluster, engine: Engine, sagas: Sagas, namespaces: Sequence[str] = ()) -> Sweep:
    vanished = Vanished(cluster, engine, ())  # type: ignore[arg-type]
    watched = WatchedNamespaces(namespaces)
    return Sweep(cluster, engine, sagas, vanished, watched, wake=lambda _: None)  # type: ignore[arg-type]


def later(sweep: Sweep) -> None:
    """Make every namespace due."""
    for state in sweep._namespaces._states.values():
        state.due_at = 0.0


async def test_a_saga_whose_object_is_gone_is_settled_and_the_others_are_not() -> None:
    engine = Engine("kept", "gone")
    await sweep_of(Cluster(kept=OLD), engine, Sagas("kept")).once()
    assert engine.settled == ["gone"]


async def test_a_saga_is_settled_once_however_long_it_stays_parked() -> None:
    engine = Engine("gone")
    sweep = sweep_of(Cluster(), engine, Sagas())
    await sweep.once()
    later(sweep)
    await sweep.once()
    assert engine.settled == ["gone"]


async def test_a_saga_of_a_namespace_that_is_not_watched_is_left_alone() -> None:
    engine = Engine("elsewhere", namespace="other")
    await sweep_of(Cluster(), engine, Sagas(), namespaces=["shop"]).once()
    assert engine.settled == []


async def test_an_object_that_the_watch_never_delivered_is_brought_in_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_module, "LATE_SECONDS", 0.0)
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
    assert set(sagas.delivered) == {"kept"}


FORBIDDEN = RefusedError("sagas is forbidden", status=403)


@pytest.mark.parametrize("error", [FORBIDDEN, UnavailableError("429"), NotFoundError("404 page not found")])
async def test_a_namespace_that_cannot_be_listed_stops_no_other(error: KubeError) -> None:
    engine = Engine("gone", namespace="shop")
    engine.active["unknown"] = "broken"
    cluster = Cluster()
    cluster.refused["broken"] = error
    sweep = sweep_of(cluster, engine, Sagas(), namespaces=["broken", "shop"])
    await sweep.once()
    assert engine.settled == ["gone"]
    assert list(sweep._namespaces.troubles()) == ["broken"]


async def test_a_namespace_with_trouble_is_asked_less_often_and_comes_back_by_itself() -> None:
    engine, cluster, woken = Engine("gone"), Cluster(), list[str | None]()
    cluster.refused["shop"] = FORBIDDEN
    sweep = sweep_of(cluster, engine, Sagas(), namespaces=["shop"])
    sweep._wake = woken.append
    await sweep.once()
    assert sweep._namespaces.due() == []
    assert 0 < sweep._namespaces.next_due_in() <= 6
    cluster.refused.clear()
    later(sweep)
    await sweep.once()
    assert engine.settled == ["gone"]
    assert sweep._namespaces.troubles() == {}
    assert woken == ["shop"]


async def test_the_sagas_of_a_namespace_that_no_longer_exists_are_settled() -> None:
    engine, cluster = Engine("gone", namespace="shop"), Cluster()
    cluster.presences["shop"] = Presence.GONE
    cluster.refused["shop"] = FORBIDDEN
    sweep = sweep_of(cluster, engine, Sagas("gone"), namespaces=["shop"])
    await sweep.once()
    assert engine.settled == ["gone"]
    assert sweep._namespaces.troubles()["shop"].startswith("NamespaceNotFound")


@pytest.mark.parametrize("presence", [Presence.TERMINATING, Presence.UNKNOWN])
async def test_a_namespace_that_may_still_exist_loses_no_saga(presence: Presence) -> None:
    engine, cluster = Engine("running"), Cluster()
    cluster.presences["shop"] = presence
    cluster.refused["shop"] = FORBIDDEN
    await sweep_of(cluster, engine, Sagas(), namespaces=["shop"]).once()
    assert engine.settled == []


async def test_a_missing_right_to_watch_is_trouble_of_the_namespace_and_no_dead_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_module, "LATE_SECONDS", 0.0)
    cluster, sagas = Cluster(missed=OLD), Sagas()
    cluster.unwatchable.add("shop")
    sweep = sweep_of(cluster, Engine(), sagas, namespaces=["shop"])
    await sweep.once()
    assert sagas.offered == ["missed"]
    assert sweep.finding() == ""
    assert "sagas" in sweep._namespaces.troubles()["shop"]


async def test_an_object_delivered_while_the_list_is_read_stays_delivered() -> None:
    cluster, sagas = Cluster(), Sagas()

    async def deliver() -> None:
        sagas.delivered["new"] = "shop"

    cluster.during_list = deliver
    await sweep_of(cluster, Engine(), sagas).once()
    assert set(sagas.delivered) == {"new"}


async def test_an_unreadable_object_does_not_end_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "LATE_SECONDS", 0.0)
    engine = Engine("gone", namespace="other")
    sweep = sweep_of(Cluster(poisoned="yesterday"), engine, Sagas(), namespaces=["shop", "other"])
    await sweep.once()
    assert engine.settled == ["gone"]
    assert sweep._namespaces.troubles()["shop"].startswith("ComparisonFailed")
