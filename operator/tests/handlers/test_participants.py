"""Participant objects: whatever changes about one, the definitions that call it are looked at again."""

from typing import Any

import pytest

from kompensa.cluster.engine_client import EngineProblemError, EngineUnreachableError
from kompensa.cluster.resources import Resource
from kompensa.handlers.participants import Participants
from kompensa.handlers.seen import Seen
from kompensa.handlers.workqueue import RetryLaterError


class Engine:
    def __init__(self) -> None:
        self.known: set[str] = set()
        self.fails: Exception | None = None

    async def put_participant(self, namespace: str, name: str, *_: Any, **__: Any) -> None:
        if self.fails:
            raise self.fails
        self.known.add(f"{namespace}/{name}")

    async def delete_participant(self, namespace: str, name: str, *, uid: str | None) -> None:
        if self.fails:
            raise self.fails
        self.known.discard(f"{namespace}/{name}")


class Cluster:
    """Keeps the reasons that objects were given."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def set_status(self, _: Resource, __: str, ___: str, ____: str, status: Any) -> None:
        self.said += [condition["reason"] for condition in status["conditions"] if condition["type"] == "Ready"]


class World:
    def __init__(self) -> None:
        self.engine, self.cluster = Engine(), Cluster()
        self.changed: list[tuple[str, bool]] = []
        """What the definitions are told, and whether the engine knew the participant by then."""
        self.participants = Participants(
            self.cluster,  # type: ignore[arg-type]
            self.engine,  # type: ignore[arg-type]
            on_change=lambda namespace, name: self.changed.append((name, f"{namespace}/{name}" in self.engine.known)),
        )


def seen(*, generation: int = 1) -> Seen:
    metadata = {"namespace": "shop", "name": "payments", "uid": "u", "generation": generation}
    return Seen({"metadata": metadata, "spec": {"url": "http://payments"}})


async def test_definitions_are_looked_at_again_at_every_change_and_not_in_between() -> None:
    world = World()
    for generation in (1, 1, 2):
        await world.participants.reconcile(seen(generation=generation), 1)
    assert world.changed == [("payments", True), ("payments", True)]
    assert set(world.cluster.said) == {"Known"}


async def test_definitions_are_looked_at_again_once_their_participant_is_gone() -> None:
    world = World()
    await world.participants.reconcile(seen(), 1)
    world.engine.fails = EngineUnreachableError("away")
    with pytest.raises(RetryLaterError):
        await world.participants.forget(seen())
    assert world.changed == [("payments", True)]
    world.engine.fails = None
    await world.participants.forget(seen())
    assert world.changed == [("payments", True), ("payments", False)]


async def test_a_participant_that_the_engine_refuses_says_so_and_wakes_nobody() -> None:
    world = World()
    world.engine.fails = EngineProblemError(422, "participant-invalid", "spec.url: its port is no number", {})
    await world.participants.reconcile(seen(), 1)
    assert (world.cluster.said, world.changed) == (["SpecInvalid"], [])
