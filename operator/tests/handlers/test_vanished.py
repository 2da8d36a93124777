"""Which objects count as gone without an event, and which must never."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from kompensa.client.engine_client import DeclaredObject
from kompensa.cluster.kube import UnavailableError
from kompensa.cluster.resources import DEFINITIONS, PARTICIPANTS, Resource
from kompensa.handlers.kind import Kind
from kompensa.handlers.vanished import Vanished
from kompensa.handlers.watched_object import WatchedObject

UID = "0d2ff2c4-0b5f-4f0e-b0fe-0f4c1d8f6c11"


def declared(name: str, kind: str = "Participant", namespace: str = "shop", uid: str = UID) -> DeclaredObject:
    return DeclaredObject(kind=kind, namespace=namespace, name=name, uid=uid)


def seen(name: str, uid: str = UID) -> WatchedObject:
    return WatchedObject({"metadata": {"namespace": "shop", "name": name, "uid": uid}})


class Engine:
    def __init__(self, *declared: DeclaredObject) -> None:
        self.declared = declared

    async def declared_objects(self) -> list[DeclaredObject]:
        return list(self.declared)


class Cluster:
    """Live objects by plural; a list may end in an error, or have something happen at its end."""

    def __init__(self, **live: list[str]) -> None:
        self.live = live
        self.fails: str | None = None
        self.at_end: Callable[[], Awaitable[None]] | None = None

    async def each(
        self, resource: Resource, namespace: str | None, *, metadata_only: bool
    ) -> AsyncIterator[dict[str, Any]]:
        for name in self.live.get(resource.plural, []):
            yield {"metadata": {"namespace": namespace or "shop", "name": name}}
        if self.fails == resource.plural:
            raise UnavailableError("the second page did not come")
        if self.at_end is not None:
            await self.at_end()


class Recorded(Kind):
    """A kind without workers, so that a test can look at its queue."""

    def __init__(self, resource: Resource, *known: WatchedObject) -> None:
        self.resource = resource
        super().__init__(None)  # type: ignore[arg-type]
        self.known = known

    async def reconcile(self, seen: WatchedObject, attempt: int) -> float | None:
        raise AssertionError

    async def forget(self, seen: WatchedObject) -> None:
        raise AssertionError

    def gone(self) -> dict[str, str]:
        return {key: item.uid for key, item in self.queue.items() if item.deleted}


async def compare(
    cluster: Cluster, engine: Engine, *kinds: Recorded, namespaces: tuple[str, ...] = ()
) -> tuple[dict[str, str], ...]:
    for kind in kinds:
        for item in kind.known:
            await kind.offer(item)
    vanished = Vanished(cluster, engine, kinds)  # type: ignore[arg-type]
    for held in await vanished.held():
        for namespace in namespaces or (None,):
            await vanished.compare(held, namespace)
    return tuple(kind.gone() for kind in kinds)


async def test_what_an_object_declared_is_withdrawn_when_the_object_is_gone() -> None:
    engine = Engine(declared("kept"), declared("gone"), declared("gone", "SagaDefinition"))
    cluster = Cluster(participants=["kept"], sagadefinitions=["other"])
    participants, definitions = await compare(cluster, engine, Recorded(PARTICIPANTS), Recorded(DEFINITIONS))
    assert participants == {"shop/gone": UID}
    assert definitions == {"shop/gone": UID}


async def test_an_object_whose_deletion_the_watch_missed_is_not_repeated_for_ever() -> None:
    kind = Recorded(PARTICIPANTS, seen("kept"), seen("gone"))
    assert await compare(Cluster(participants=["kept"]), Engine(), kind) == ({"shop/gone": UID},)


async def test_a_name_that_lives_again_is_left_to_its_new_object() -> None:
    assert await compare(Cluster(participants=["anew"]), Engine(declared("anew")), Recorded(PARTICIPANTS)) == ({},)


async def test_namespaces_that_are_not_watched_are_left_alone() -> None:
    engine = Engine(declared("gone", namespace="elsewhere"))
    assert await compare(Cluster(), engine, Recorded(PARTICIPANTS), namespaces=("shop",)) == ({},)


async def test_nothing_is_withdrawn_by_a_list_that_is_not_complete() -> None:
    cluster = Cluster(participants=["first-page"])
    cluster.fails = "participants"
    participants = Recorded(PARTICIPANTS, seen("second-page"))
    with pytest.raises(UnavailableError):
        await compare(cluster, Engine(declared("second-page")), participants)
    assert participants.gone() == {}


async def test_an_object_made_during_the_comparison_is_not_taken_for_gone() -> None:
    kind = Recorded(PARTICIPANTS)
    new = seen("anew", uid="another")
    cluster = Cluster()
    cluster.at_end = lambda: kind.offer(new)
    assert await compare(cluster, Engine(declared("anew")), kind) == ({},)
    assert kind.queue.item(new.key) is new
