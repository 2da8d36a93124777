"""The comparison of objects and engine: which sagas it settles, and which it must leave alone."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from kompensa.cluster.conditions import timestamp
from kompensa.cluster.kube import KubeError, NotFoundError, Presence, RefusedError, UnavailableError
from kompensa.cluster.resources import SAGAS
from kompensa.handlers import sweep as sweep_module
from kompensa.handlers.namespaces import WatchedNamespaces
from kompensa.handlers.sweep import Sweep
from kompensa.handlers.vanished import Vanished
from kompensa.handlers.watched_object import WatchedObject
from tests.support.fake_engine_client import FakeEngineClient
from tests.support.fake_kube import FakeKube, refusing

OLD = "2020-01-01T00:00:00Z"


def kube_with(**created: str) -> FakeKube:
    """Live Saga objects of the namespace shop by name, with the time of their creation."""
    kube = FakeKube()
    for name, at in created.items():
        kube.add(SAGAS, name, metadata={"creationTimestamp": at})
    return kube


def engine_with(*active: str, namespace: str = "shop") -> FakeEngineClient:
    return FakeEngineClient(active=dict.fromkeys(active, namespace))


class RecordedSagas:
    """The handler's answers to the sweep; it keeps the objects that the sweep brings."""

    def __init__(self, *delivered: str) -> None:
        self.delivered = dict.fromkeys(delivered, "shop")
        self.offered: list[str] = []
        self.taken: set[str] = set()
        self.repeated: list[str] = []

    async def offer(self, watched: WatchedObject) -> None:
        self.offered.append(watched.uid)

    async def repeat(self, watched: WatchedObject) -> None:
        self.repeated.append(watched.uid)

    def accepted(self) -> frozenset[str]:
        return frozenset(self.taken)


def sweep_of(kube: FakeKube, engine: FakeEngineClient, sagas: RecordedSagas, namespaces: Sequence[str] = ()) -> Sweep:
    vanished = Vanished(kube, engine, ())  # type: ignore[arg-type]
    watched = WatchedNamespaces(namespaces)
    return Sweep(kube, engine, sagas, vanished, watched, wake=lambda _: None)  # type: ignore[arg-type]


def later(sweep: Sweep) -> None:
    """Make every namespace due."""
    for state in sweep._namespaces._states.values():
        state.due_at = 0.0


async def test_a_saga_whose_object_is_gone_is_settled_and_the_others_are_not() -> None:
    engine = engine_with("kept", "gone")
    await sweep_of(kube_with(kept=OLD), engine, RecordedSagas("kept")).once()
    assert engine.settled == [("gone", None)]


async def test_a_saga_is_settled_once_however_long_it_stays_parked() -> None:
    engine = engine_with("gone")
    sweep = sweep_of(FakeKube(), engine, RecordedSagas())
    await sweep.once()
    later(sweep)
    await sweep.once()
    assert engine.settled == [("gone", None)]


async def test_a_saga_of_a_namespace_that_is_not_watched_is_left_alone() -> None:
    engine = engine_with("elsewhere", namespace="other")
    await sweep_of(FakeKube(), engine, RecordedSagas(), namespaces=["shop"]).once()
    assert engine.settled == []


async def test_an_object_that_the_watch_never_delivered_is_brought_in_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_module, "LATE_SECONDS", 0.0)
    sagas = RecordedSagas("delivered")
    sweep = sweep_of(kube_with(delivered=OLD, missed=OLD), engine_with(), sagas)
    await sweep.once()
    assert sagas.offered == ["missed"]
    assert "1 Saga" in sweep.finding()


async def test_a_saga_that_the_engine_took_and_no_longer_lists_is_asked_for_again() -> None:
    sagas = RecordedSagas("running", "lost")
    sagas.taken = {"running", "lost", "gone"}
    await sweep_of(kube_with(running=OLD, lost=OLD), engine_with("running"), sagas).once()
    assert sagas.repeated == ["lost"]


async def test_an_object_too_new_to_be_delivered_is_waited_for() -> None:
    sagas = RecordedSagas()
    sweep = sweep_of(kube_with(new=timestamp(datetime.now(UTC))), engine_with(), sagas)
    sweep._started = 0.0
    await sweep.once()
    assert sagas.offered == []
    assert sweep.finding() == ""


async def test_a_deleted_object_is_not_remembered_as_delivered() -> None:
    sagas = RecordedSagas("kept", "gone")
    await sweep_of(kube_with(kept=OLD), engine_with(), sagas).once()
    assert set(sagas.delivered) == {"kept"}


FORBIDDEN = RefusedError("sagas is forbidden", status=403)


@pytest.mark.parametrize("error", [FORBIDDEN, UnavailableError("429"), NotFoundError("404 page not found")])
async def test_a_namespace_that_cannot_be_listed_stops_no_other(error: KubeError) -> None:
    engine = engine_with("gone", namespace="shop")
    engine.active["unknown"] = "broken"
    kube = FakeKube()
    kube.refuses = refusing(error, "list", namespace="broken")
    sweep = sweep_of(kube, engine, RecordedSagas(), namespaces=["broken", "shop"])
    await sweep.once()
    assert engine.settled == [("gone", None)]
    assert list(sweep._namespaces.troubles()) == ["broken"]


async def test_a_namespace_with_trouble_is_asked_less_often_and_comes_back_by_itself() -> None:
    engine, kube, woken = engine_with("gone"), FakeKube(), list[str | None]()
    kube.refuses = refusing(FORBIDDEN, "list", namespace="shop")
    sweep = sweep_of(kube, engine, RecordedSagas(), namespaces=["shop"])
    sweep._wake = woken.append
    await sweep.once()
    assert sweep._namespaces.due() == []
    assert 0 < sweep._namespaces.next_due_in() <= 6
    kube.refuses = None
    later(sweep)
    await sweep.once()
    assert engine.settled == [("gone", None)]
    assert sweep._namespaces.troubles() == {}
    assert woken == ["shop"]


async def test_the_sagas_of_a_namespace_that_no_longer_exists_are_settled() -> None:
    engine, kube = engine_with("gone", namespace="shop"), FakeKube()
    kube.presences["shop"] = Presence.GONE
    kube.refuses = refusing(FORBIDDEN, "list", namespace="shop")
    sweep = sweep_of(kube, engine, RecordedSagas("gone"), namespaces=["shop"])
    await sweep.once()
    assert engine.settled == [("gone", None)]
    assert sweep._namespaces.troubles()["shop"].startswith("NamespaceNotFound")


@pytest.mark.parametrize("presence", [Presence.TERMINATING, Presence.UNKNOWN])
async def test_a_namespace_that_may_still_exist_loses_no_saga(presence: Presence) -> None:
    engine, kube = engine_with("running"), FakeKube()
    kube.presences["shop"] = presence
    kube.refuses = refusing(FORBIDDEN, "list", namespace="shop")
    await sweep_of(kube, engine, RecordedSagas(), namespaces=["shop"]).once()
    assert engine.settled == []


async def test_a_missing_right_to_watch_is_trouble_of_the_namespace_and_not_a_dead_watch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweep_module, "LATE_SECONDS", 0.0)
    kube, sagas = kube_with(missed=OLD), RecordedSagas()
    kube.unwatchable.add("shop")
    sweep = sweep_of(kube, engine_with(), sagas, namespaces=["shop"])
    await sweep.once()
    assert sagas.offered == ["missed"]
    assert sweep.finding() == ""
    assert "sagas" in sweep._namespaces.troubles()["shop"]


async def test_an_object_delivered_while_the_list_is_read_stays_delivered() -> None:
    kube, sagas = FakeKube(), RecordedSagas()

    async def deliver() -> None:
        sagas.delivered["new"] = "shop"

    kube.at_end_of_list = deliver
    await sweep_of(kube, engine_with(), sagas).once()
    assert set(sagas.delivered) == {"new"}


async def test_an_unreadable_object_does_not_end_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "LATE_SECONDS", 0.0)
    engine = engine_with("gone", namespace="other")
    sweep = sweep_of(kube_with(poisoned="yesterday"), engine, RecordedSagas(), namespaces=["shop", "other"])
    await sweep.once()
    assert engine.settled == [("gone", None)]
    assert sweep._namespaces.troubles()["shop"].startswith("ComparisonFailed")
