"""Sagas on their Saga objects: the end is published until it is written, once, and that is remembered."""

import asyncio

import pytest

from kompensa.engine.start import ObjectRef
from tests.support.engine_world import EngineWorld, tenure_of
from tests.support.recording_publisher import RecordingPublisher
from tests.support.scripted_transport import DONE, REFUSED, WRONG
from tests.support.waiting import until

SAGA = "0b8a3c5e-0000-4000-8000-000000000001"
OBJECT = ObjectRef(name="order-1", uid=SAGA, generation=1)
ENDS = ("Succeeded", "Compensated", "InterventionRequired")


async def ends_shown(publisher: RecordingPublisher, world: EngineWorld) -> list[str]:
    """Run a saga of an object to its end, wait a while, and return the ends that were shown."""
    await world.start(object=OBJECT)
    await until(lambda: world.journal.sagas._rows[SAGA].settled, "the saga to be settled", seconds=120)
    await asyncio.sleep(60)
    return [phase for phase in publisher.shown if phase in ENDS]


@pytest.mark.parametrize("end", ENDS)
async def test_an_end_is_shown_once(end: str) -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve", "pay")
        world.transport.answer("action pay", {"Succeeded": DONE, "Compensated": REFUSED}.get(end, WRONG))
        assert await ends_shown(publisher, world) == [end]
        assert publisher.shown[-1] == end
        assert len(tenure_of(world.first).sagas) == 0


async def test_the_history_says_when_the_object_was_written() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve")
        await ends_shown(publisher, world)
        assert (await world.history(SAGA))[-1] == "StatusWritten"


async def test_a_saga_without_an_object_is_shown_nowhere() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve")
        saga = await world.start()
        await world.until_phase(saga, "Succeeded")
        assert publisher.shown == []
        assert world.journal.sagas._rows[saga].settled


async def test_an_end_that_could_not_be_shown_is_shown_later() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve")
        publisher.fail_with = OSError("the API server is away")
        await world.start(object=OBJECT)
        await world.until_phase(SAGA, "Succeeded")
        await asyncio.sleep(60)
        assert not world.journal.sagas._rows[SAGA].settled
        publisher.fail_with = None
        await until(lambda: world.journal.sagas._rows[SAGA].settled, "the saga to be settled")
        assert publisher.shown == ["Succeeded"]


async def test_an_end_that_was_not_shown_before_a_crash_is_shown_by_the_successor() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve")
        publisher.gate.clear()
        await world.start(object=OBJECT)
        await world.until_phase(SAGA, "Succeeded")
        await world.crash_first()
        await world.engine()
        publisher.gate.set()
        await until(lambda: world.journal.sagas._rows[SAGA].settled, "the saga to be settled")
        assert publisher.shown == ["Succeeded"]
        assert world.transport.calls == ["action reserve"]


async def test_progress_that_cannot_be_shown_holds_nothing_up() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        publisher.fail_with = OSError("the API server is away")
        await world.start(object=OBJECT)
        await world.until_called("action reserve")
        await asyncio.sleep(1)
        publisher.fail_with = None
        world.transport.release("action reserve")
        await world.until_phase(SAGA, "Succeeded")


async def test_a_parked_saga_that_goes_on_while_it_is_shown_is_shown_again_at_its_end() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve")
        world.transport.answer("action reserve", WRONG, DONE)
        await world.start(object=OBJECT)
        publisher.gate.clear()
        await world.until_phase(SAGA, "InterventionRequired")
        await world.first.sagas.ask(SAGA, "resume")
        await world.until_phase(SAGA, "Succeeded")
        publisher.gate.set()
        await until(lambda: world.journal.sagas._rows[SAGA].settled, "the saga to be settled")
        assert publisher.shown[-1] == "Succeeded"


async def test_a_saga_whose_object_is_gone_is_not_shown_any_more() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        await world.start(object=OBJECT)
        await world.until_called("action reserve")
        await world.first.sagas.object_deleted(SAGA, None)
        await world.until_noted(SAGA, "ObjectDeleted")
        shown = len(publisher.shown)
        world.transport.release("action reserve")
        await until(lambda: world.journal.sagas._rows[SAGA].settled, "the saga to be settled")
        assert publisher.shown[shown:] == []


async def test_a_view_goes_with_the_objects_newest_generation() -> None:
    publisher = RecordingPublisher()
    async with EngineWorld(publisher=publisher) as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        await world.start(object=OBJECT)
        await world.first.sagas.ask(SAGA, "suspend", generation=2)
        await world.until_noted(SAGA, "SagaSuspended")
        await world.crash_first()
        world.transport.release("action reserve")
        await world.engine()
        await world.first.sagas.ask(SAGA, "resume")
        await world.until_phase(SAGA, "Succeeded")
        await until(lambda: publisher.shown and publisher.shown[-1] == "Succeeded", "the end to be shown")
        assert publisher.generations[-1] == 2
