"""Which objects count as gone without an event, and which must never."""

import pytest

from kompensa.client.engine_client import DeclaredObject
from kompensa.cluster.kube import UnavailableError
from kompensa.cluster.resources import DEFINITIONS, PARTICIPANTS, Resource
from kompensa.handlers.kind import Kind
from kompensa.handlers.vanished import Vanished
from kompensa.handlers.watched_object import WatchedObject
from tests.support.fake_engine_client import FakeEngineClient
from tests.support.fake_kube import FakeKube, refusing

UID = "0d2ff2c4-0b5f-4f0e-b0fe-0f4c1d8f6c11"


def declared(name: str, kind: str = "Participant", namespace: str = "shop", uid: str = UID) -> DeclaredObject:
    return DeclaredObject(kind=kind, namespace=namespace, name=name, uid=uid)


def watched(name: str, uid: str = UID) -> WatchedObject:
    return WatchedObject({"metadata": {"namespace": "shop", "name": name, "uid": uid}})


def kube_with(resource: Resource, *names: str) -> FakeKube:
    kube = FakeKube()
    for name in names:
        kube.add(resource, name)
    return kube


def engine_with(*declared: DeclaredObject) -> FakeEngineClient:
    return FakeEngineClient(declared=list(declared))


class Recorded(Kind[None]):
    """A kind without workers, so that a test can look at its queue."""

    def __init__(self, resource: Resource, *known: WatchedObject) -> None:
        self.resource = resource
        super().__init__(None)  # type: ignore[arg-type]
        self.known = known

    def read_spec(self, watched: WatchedObject) -> None:
        raise AssertionError

    async def reconcile(self, watched: WatchedObject, spec: None, attempt: int) -> float | None:
        raise AssertionError

    async def forget(self, watched: WatchedObject) -> None:
        raise AssertionError

    def gone(self) -> dict[str, str]:
        return {key: item.uid for key, item in self.queue.items() if item.deleted}


async def compare(
    kube: FakeKube, engine: FakeEngineClient, *kinds: Recorded, namespaces: tuple[str, ...] = ()
) -> tuple[dict[str, str], ...]:
    for kind in kinds:
        for item in kind.known:
            await kind.offer(item)
    vanished = Vanished(kube, engine, kinds)  # type: ignore[arg-type]
    for held in await vanished.held():
        for namespace in namespaces or (None,):
            await vanished.compare(held, namespace)
    return tuple(kind.gone() for kind in kinds)


async def test_what_an_object_declared_is_withdrawn_when_the_object_is_gone() -> None:
    engine = engine_with(declared("kept"), declared("gone"), declared("gone", "SagaDefinition"))
    kube = kube_with(PARTICIPANTS, "kept")
    participants, definitions = await compare(kube, engine, Recorded(PARTICIPANTS), Recorded(DEFINITIONS))
    assert participants == {"shop/gone": UID}
    assert definitions == {"shop/gone": UID}


async def test_an_object_whose_deletion_the_watch_missed_is_not_repeated_forever() -> None:
    kind = Recorded(PARTICIPANTS, watched("kept"), watched("gone"))
    assert await compare(kube_with(PARTICIPANTS, "kept"), engine_with(), kind) == ({"shop/gone": UID},)


async def test_a_name_that_lives_again_is_left_to_its_new_object() -> None:
    assert await compare(
        kube_with(PARTICIPANTS, "recreated"), engine_with(declared("recreated")), Recorded(PARTICIPANTS)
    ) == ({},)


async def test_namespaces_that_are_not_watched_are_left_alone() -> None:
    engine = engine_with(declared("gone", namespace="elsewhere"))
    assert await compare(FakeKube(), engine, Recorded(PARTICIPANTS), namespaces=("shop",)) == ({},)


async def test_nothing_is_withdrawn_by_a_list_that_is_not_complete() -> None:
    kube = kube_with(PARTICIPANTS, "first-page")
    kube.refuses = refusing(UnavailableError("the second page did not come"), "list", resource=PARTICIPANTS)
    participants = Recorded(PARTICIPANTS, watched("second-page"))
    with pytest.raises(UnavailableError):
        await compare(kube, engine_with(declared("second-page")), participants)
    assert participants.gone() == {}


async def test_an_object_made_during_the_comparison_is_not_taken_for_gone() -> None:
    kind = Recorded(PARTICIPANTS)
    new = watched("recreated", uid="another")
    kube = FakeKube()
    kube.at_end_of_list = lambda: kind.offer(new)
    assert await compare(kube, engine_with(declared("recreated")), kind) == ({},)
    assert kind.queue.item(new.key) is new
