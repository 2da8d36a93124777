"""Saga objects between watch and engine: started once, controlled, settled."""

from typing import Any

import pytest

from kompensa.client.engine_client import EngineUnreachableError
from kompensa.handlers.sagas import Sagas, is_finished
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError
from tests.support.fake_engine_client import FakeEngineClient
from tests.support.fake_kube import FakeKube, metadata_of

AWAY = EngineUnreachableError("away")


class Scene:
    """The handler between a cluster and an engine, and the time to live of the Sagas that ended."""

    def __init__(self) -> None:
        self.engine, self.kube = FakeEngineClient(), FakeKube()
        self.finished: list[int | None] = []
        self.sagas = Sagas(self.kube, self.engine, on_finished=lambda _, ttl: self.finished.append(ttl))  # type: ignore[arg-type]

    async def work(self, watched: WatchedObject) -> float | None:
        return await self.sagas._work(watched, 1)


def saga(
    spec: dict[str, Any] | None = None,
    *,
    phase: str | None = None,
    generation: int = 1,
    deleted: bool = False,
    readable: bool = True,
) -> WatchedObject:
    raw = {
        "metadata": metadata_of("order-1", uid="u", generation=generation),
        "spec": {**({"definitionRef": {"name": "create-order"}} if readable else {}), **(spec or {})},
        "status": {} if phase is None else {"phase": phase},
    }
    return WatchedObject(raw, deleted=deleted)


@pytest.mark.parametrize(
    ("phase", "finished"),
    [("Succeeded", True), ("Compensated", True), ("Terminated", True), ("InterventionRequired", False), (None, False)],
)
def test_a_parked_saga_is_not_finished(phase: str | None, finished: bool) -> None:
    assert is_finished(saga(phase=phase)) is finished


async def test_a_request_that_the_operator_missed_is_repeated_until_the_engine_takes_it() -> None:
    scene = Scene()
    scene.engine.sagas["u"] = "Running"
    scene.engine.refuses["cancel"] = AWAY
    with pytest.raises(RetryLaterError):
        await scene.work(saga({"cancel": True}))
    del scene.engine.refuses["cancel"]
    await scene.work(saga({"cancel": True}))
    assert scene.engine.asked[-1] == "cancel"


async def test_a_change_is_passed_on_once() -> None:
    scene = Scene()
    await scene.work(saga())
    for _ in range(2):
        await scene.work(saga({"suspend": True}, generation=2))
    assert scene.engine.asked == ["start", "suspend"]


async def test_a_write_to_the_status_of_an_accepted_saga_is_no_work() -> None:
    scene = Scene()
    await scene.work(saga())
    await scene.sagas.offer(saga(phase="Running"))
    assert scene.sagas.queue.items() == []
    await scene.sagas.offer(saga({"suspend": True}, phase="Running", generation=2))
    assert [key for key, _ in scene.sagas.queue.items()] == ["u"]


async def test_a_saga_whose_spec_cannot_be_read_shows_the_field_and_is_not_started() -> None:
    scene = Scene()
    assert await scene.work(saga(readable=False)) is None
    assert (scene.kube.reasons(), scene.engine.asked) == (["SpecInvalid"], [])
    assert "definitionRef" in scene.kube.statuses[0]["message"]


async def test_a_spec_that_cannot_be_read_hides_no_status_of_the_engine() -> None:
    scene = Scene()
    await scene.work(saga(phase="Running", readable=False))
    assert scene.kube.statuses == []


@pytest.mark.parametrize(("readable", "policy"), [(True, "Orphan"), (False, None)])
async def test_a_deleted_saga_is_settled_by_its_policy_or_by_the_one_it_was_started_with(
    readable: bool, policy: str | None
) -> None:
    scene = Scene()
    await scene.work(saga({"deletionPolicy": "Orphan"}, deleted=True, readable=readable))
    assert scene.engine.settled == [("u", policy)]


@pytest.mark.parametrize(("readable", "ttl"), [(True, 60), (False, None)])
async def test_a_finished_saga_is_reported_with_its_time_to_live(readable: bool, ttl: int | None) -> None:
    scene = Scene()
    await scene.sagas.offer(saga({"ttlSecondsAfterFinished": 60}, phase="Succeeded", readable=readable))
    assert scene.finished == [ttl]
