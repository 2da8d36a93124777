"""Participant objects: whatever changes about one, the definitions that call it are looked at again."""

import base64
from typing import Any

import pytest

from kompensa.client.engine_client import EngineProblemError, EngineUnreachableError
from kompensa.cluster.resources import Resource
from kompensa.handlers.participants import Participants
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError


class Engine:
    def __init__(self) -> None:
        self.known: set[str] = set()
        self.fails: Exception | None = None
        self.token: str | None = None

    async def put_participant(self, namespace: str, name: str, _: Any, token: str | None, **__: Any) -> None:
        if self.fails:
            raise self.fails
        self.known.add(f"{namespace}/{name}")
        self.token = token

    async def delete_participant(self, namespace: str, name: str, *, uid: str | None) -> None:
        if self.fails:
            raise self.fails
        self.known.discard(f"{namespace}/{name}")


class Cluster:
    """Keeps the reasons that objects were given, and a Secret with a token."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.token = b"abc"

    async def get(self, _: Resource, __: str, ___: str) -> Any:
        return {"data": {"token": base64.b64encode(self.token).decode()}}

    async def set_status(self, _: Resource, __: str, ___: str, ____: str, status: Any) -> None:
        self.said += [condition["reason"] for condition in status["conditions"] if condition["type"] == "Ready"]


class World:
    def __init__(self) -> None:
        self.engine, self.cluster = Engine(), Cluster()
        self.changed: list[tuple[str, bool]] = []
        """The notifications to definitions, and whether the engine knew the participant by then."""
        self.participants = Participants(
            self.cluster,  # type: ignore[arg-type]
            self.engine,  # type: ignore[arg-type]
            on_change=lambda namespace, name: self.changed.append((name, f"{namespace}/{name}" in self.engine.known)),
        )


def seen(*, generation: int = 1, **spec: Any) -> WatchedObject:
    metadata = {"namespace": "shop", "name": "payments", "uid": "u", "generation": generation}
    return WatchedObject({"metadata": metadata, "spec": {"url": "http://payments", **spec}})


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


async def test_a_participant_that_the_engine_refuses_says_so_and_wakes_no_definition() -> None:
    world = World()
    world.engine.fails = EngineProblemError(422, "participant-invalid", "spec.url: its port is not a number", {})
    await world.participants.reconcile(seen(), 1)
    assert (world.cluster.said, world.changed) == (["SpecInvalid"], [])


@pytest.mark.parametrize("value", [b"abc", b"abc\n", b"abc\r\n"])
async def test_a_tokens_last_line_end_is_that_of_the_file_it_came_from(value: bytes) -> None:
    world = World()
    world.cluster.token = value
    await world.participants.reconcile(seen(tokenSecretRef={"name": "payments", "key": "token"}), 1)
    assert world.engine.token == "abc"


async def test_a_token_is_looked_at_again_sooner_than_the_rest() -> None:
    world = World()
    without = await world.participants.reconcile(seen(), 1)
    with_token = await world.participants.reconcile(seen(tokenSecretRef={"name": "payments", "key": "token"}), 1)
    assert with_token < without
