"""An engine's housekeeping: it deletes, counts, looks for stalled sagas, and reads the declarations of others."""

import asyncio

from prometheus_client import REGISTRY

from tests.support.engine_world import EngineWorld, tenure_of
from tests.support.journal_link import unnoticed
from tests.support.scripted_transport import NO_ANSWER, WRONG
from tests.support.waiting import until


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(name)


async def test_ended_sagas_are_forgotten_after_their_retention_or_their_own_time() -> None:
    async with EngineWorld(retention=300.0) as world:
        await world.declare("reserve")
        own = await world.start(ttl_seconds_after_finished=0)
        common = await world.start()
        await world.until_phase(common, "Succeeded")
        await until(lambda: world.durable_phase(own) is None, "the one with its own time to be forgotten", seconds=30)
        await asyncio.sleep(200)
        assert world.durable_phase(common) == "Succeeded"
        await until(lambda: world.durable_phase(common) is None, "the other to be forgotten", seconds=200)


async def test_a_parked_saga_is_kept_and_counted_however_long_it_waits() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.answer("action reserve", WRONG)
        saga = await world.start(ttl_seconds_after_finished=0)
        await world.until_phase(saga, "InterventionRequired")
        await asyncio.sleep(600)
        assert world.durable_phase(saga) == "InterventionRequired"
        assert gauge("kompensa_sagas_parked") == 1


async def test_declarations_that_never_rest_do_not_keep_an_engine_from_forgetting() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        saga = await world.start(ttl_seconds_after_finished=0)
        await world.until_phase(saga, "Succeeded")
        for _ in range(30):
            world.journal.notify("catalogue")
            await asyncio.sleep(2)
        assert world.durable_phase(saga) is None


async def test_a_journal_that_is_away_does_not_end_the_upkeep() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        saga = await world.start(ttl_seconds_after_finished=0)
        await world.until_phase(saga, "Succeeded")
        with world.journal_away():
            await asyncio.sleep(60)
        await until(lambda: world.durable_phase(saga) is None, "the saga to be forgotten", seconds=60)


async def test_a_round_of_upkeep_that_fails_does_not_end_the_upkeep() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        saga = await world.start(ttl_seconds_after_finished=0)
        await world.until_phase(saga, "Succeeded")

        async def stumble(question: str) -> None:
            if question == "sagas.parked":
                world.links[world.first].before = unnoticed
                raise ValueError("an unexpected row")

        world.links[world.first].before = stumble
        await until(lambda: world.durable_phase(saga) is None, "the saga to be forgotten", seconds=60)
        assert world.links[world.first].before is unnoticed


async def test_a_saga_whose_time_came_without_anything_happening_is_counted() -> None:
    patient = {"initialInterval": "5m", "maximumInterval": "5m", "maximumAttempts": 3}
    async with EngineWorld() as world:
        await world.declare("reserve", retryPolicy=patient)
        world.transport.answer("action reserve", NO_ANSWER)
        saga = await world.start()
        await until(lambda: len(tenure_of(world.first).runner._timers) == 1, "the retry to be waited for")
        tenure_of(world.first).runner._timers.set(saga, None)
        await asyncio.sleep(600)
        assert gauge("kompensa_sagas_stalled") == 1
