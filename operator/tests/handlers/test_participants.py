"""Participant objects: after each change of one, the definitions that call it are checked again."""

import base64
from typing import Any

import pytest

from kompensa.client.engine_client import EngineProblemError, EngineUnreachableError
from kompensa.handlers.participants import Participants
from kompensa.handlers.watched_object import WatchedObject
from kompensa.handlers.workqueue import RetryLaterError
from tests.support.fake_engine_client import FakeEngineClient
from tests.support.fake_kube import FakeKube, metadata_of

TOKEN = {"tokenSecretRef": {"name": "payments", "key": "token"}}


class Scene:
    """The handler between a cluster and an engine, and the changes that it reports."""

    def __init__(self) -> None:
        self.engine, self.kube = FakeEngineClient(), FakeKube()
        self.kube.add_secret("payments", token=base64.b64encode(b"abc").decode())
        self.changed: list[tuple[str, bool]] = []
        """The participants that were reported as changed, and whether the engine knew them by then."""
        self.participants = Participants(self.kube, self.engine, on_change=self._note)  # type: ignore[arg-type]

    def _note(self, namespace: str, name: str) -> None:
        self.changed.append((name, f"{namespace}/{name}" in self.engine.participants))

    async def work(
        self, spec: dict[str, Any] | None = None, *, generation: int = 1, deleted: bool = False
    ) -> float | None:
        metadata = metadata_of("payments", generation=generation)
        raw = {"metadata": metadata, "spec": {"url": "http://payments", **(spec or {})}}
        return await self.participants._work(WatchedObject(raw, deleted=deleted), 1)


async def test_definitions_are_checked_again_at_every_change_and_not_in_between() -> None:
    scene = Scene()
    for generation in (1, 1, 2):
        await scene.work(generation=generation)
    assert scene.changed == [("payments", True), ("payments", True)]
    assert set(scene.kube.reasons()) == {"Known"}


async def test_definitions_are_checked_again_once_their_participant_is_gone() -> None:
    scene = Scene()
    await scene.work()
    scene.engine.fails = EngineUnreachableError("away")
    with pytest.raises(RetryLaterError):
        await scene.work(deleted=True)
    assert scene.changed == [("payments", True)]
    scene.engine.fails = None
    await scene.work(deleted=True)
    assert scene.changed == [("payments", True), ("payments", False)]


async def test_a_participant_that_the_engine_rejects_shows_it_and_wakes_no_definition() -> None:
    scene = Scene()
    scene.engine.fails = EngineProblemError(422, "participant-invalid", "spec.url: its port is not a number", {})
    await scene.work()
    assert (scene.kube.reasons(), scene.changed) == (["SpecInvalid"], [])


async def test_a_participant_whose_spec_cannot_be_read_is_not_given_to_the_engine() -> None:
    scene = Scene()
    await scene.work({"url": "payments"})
    assert (scene.kube.reasons(), scene.engine.participants) == (["SpecInvalid"], {})
    assert "spec.url" in scene.kube.statuses[0]["conditions"][0]["message"]


@pytest.mark.parametrize("value", [b"abc", b"abc\n", b"abc\r\n"])
async def test_a_line_end_at_the_end_of_a_token_is_not_sent(value: bytes) -> None:
    scene = Scene()
    scene.kube.add_secret("payments", token=base64.b64encode(value).decode())
    await scene.work(TOKEN)
    assert scene.engine.participants == {"shop/payments": "abc"}


async def test_a_token_is_read_again_sooner_than_the_rest() -> None:
    scene = Scene()
    without, with_token = await scene.work(), await scene.work(TOKEN)
    assert without is not None
    assert with_token is not None
    assert with_token < without
