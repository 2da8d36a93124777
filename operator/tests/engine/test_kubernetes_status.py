"""An engine's sagas on their Saga objects, through an API server that can be away for one engine alone."""

import asyncio
from typing import Any

import pytest

from kompensa.cluster.kube import UnavailableError
from kompensa.cluster.resources import Object, Resource
from kompensa.cluster.status_publisher import KubernetesStatusPublisher
from kompensa.engine.start import ObjectRef
from tests.support.engine_world import EngineWorld, tenure_of
from tests.support.scripted_transport import DONE, WRONG
from tests.support.waiting import until

SAGA = "0b8a3c5e-0000-4000-8000-000000000001"
OBJECT = ObjectRef(name="order-1", uid=SAGA, generation=1)


class Way:
    """One engine's way to the API server. `phases` is what the object said, one after the other."""

    def __init__(self, phases: list[str]) -> None:
        self.phases = phases
        self.away = False

    @property
    def publisher(self) -> KubernetesStatusPublisher:
        return KubernetesStatusPublisher(self)  # type: ignore[arg-type]

    async def set_status(self, _: Resource, __: str, ___: str, ____: str, status: Object) -> Object:
        await asyncio.sleep(0.01)
        if self.away:
            raise UnavailableError("the API server is away")
        self.phases.append(status["phase"])
        return {}

    async def create(self, _: Resource, __: str, body: Any) -> Any:
        return body


def settled(world: EngineWorld) -> bool:
    return world.journal.sagas._rows[SAGA].settled


async def test_a_saga_that_parks_and_goes_on_while_the_api_server_is_away_shows_its_end_at_last() -> None:
    way = Way([])
    async with EngineWorld(publisher=way.publisher) as world:
        await world.declare("reserve")
        world.transport.answer("action reserve", WRONG, DONE)
        way.away = True
        await world.start(object=OBJECT)
        await world.until_phase(SAGA, "InterventionRequired")
        await asyncio.sleep(60)
        await world.first.sagas.ask(SAGA, "resume")
        await world.until_phase(SAGA, "Succeeded")
        way.away = False
        await until(lambda: settled(world), "the saga to be settled")
        await asyncio.sleep(60)
        assert way.phases == ["Succeeded"]


@pytest.mark.parametrize("journal_returns", [True, False])
async def test_an_engine_without_its_lease_writes_nothing_over_its_successors_word(journal_returns: bool) -> None:
    phases: list[str] = []
    one, two = Way(phases), Way(phases)
    async with EngineWorld(publisher=one.publisher) as world:
        await world.declare("reserve", "pay")
        second = await world.engine("two", publisher=two.publisher)
        world.transport.hold("action reserve")
        one.away = True
        await world.start(object=OBJECT)
        await world.until_called("action reserve")
        with world.journal_away(world.first):
            await until(lambda: len(tenure_of(second).held.shards) == 32, "the second to take everything over")
            world.transport.release("action reserve")
            await until(lambda: settled(world), "the saga to be settled")
            if not journal_returns:
                one.away = False
                await asyncio.sleep(60)
        await until(lambda: world.first.trouble is None, "the first to have a new lease")
        one.away = False
        await asyncio.sleep(60)
        assert phases[-1] == "Succeeded"


async def test_a_saga_that_runs_on_shows_its_progress_and_its_end() -> None:
    way = Way([])
    async with EngineWorld(publisher=way.publisher) as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action pay")
        await world.start(object=OBJECT)
        await until(lambda: way.phases == ["Running"], "progress to be shown")
        world.transport.release("action pay")
        await until(lambda: settled(world), "the saga to be settled")
        assert way.phases == ["Running", "Succeeded"]
