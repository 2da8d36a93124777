"""The engine makes as many durable writes for a saga as docs/decisions/lazy-journalling.md states."""

import pytest

from kompensa.engine.start import ObjectRef
from tests.support.documentation import named, tables
from tests.support.engine_world import EngineWorld
from tests.support.recording_publisher import RecordingPublisher
from tests.support.scripted_transport import DONE, NO_ANSWER
from tests.support.waiting import until

FOUR = ("a", "b", "c", "d")
OBJECT = ObjectRef(name="order-1", uid="0b8a3c5e-0000-4000-8000-000000000001", generation=1)


async def writes(*steps: str, keyed: bool = True, silent_once: bool = False, born_of: ObjectRef | None = None) -> int:
    """Durable writes of a saga that succeeds."""
    async with EngineWorld(publisher=RecordingPublisher()) as world:
        await world.declare(*steps, keyed=keyed)
        if silent_once:
            world.transport.answer("action a", NO_ANSWER, DONE)
        saga = await world.start(object=born_of)
        await until(lambda: world.journal.sagas._rows[saga].settled, "the saga to be settled")
        return world.journal.sagas._rows[saga].version


@pytest.fixture
def stated() -> dict[str, int]:
    """The numbers of the page, by the name of the case."""
    rows = tables("decisions/lazy-journalling.md")
    return {case: int(number) for case, (*_, number) in zip(named(rows), rows, strict=True)}


async def test_a_saga_costs_as_many_durable_writes_as_stated(stated: dict[str, int]) -> None:
    assert stated == {
        "keyed": await writes(*FOUR),
        "repeated": await writes(*FOUR, silent_once=True),
        "retriable": await writes(*FOUR, "e!"),
        "object": await writes(*FOUR, "e!", born_of=OBJECT),
        "eager": await writes(*FOUR, keyed=False),
    }
