"""Calls that wait for a place at their participant: what changed meanwhile holds for them too."""

import asyncio

import pytest

from kompensa.engine.concurrency_limiter import ConcurrencyLimiter
from tests.support.engine_world import EngineWorld, definition_spec, tenure_of
from tests.support.scripted_transport import NO_ANSWER, WRONG


async def queued(world: EngineWorld, *, sagas: int) -> list[str]:
    """Sagas that all want to reserve; with one place, the first is being called and the others wait."""
    await world.declare("reserve")
    await world.declare_participant(maxInFlight=1)
    world.transport.hold("action reserve")
    started = [await world.start() for _ in range(sagas)]
    await world.until_called("action reserve")
    return started


async def test_a_call_that_waited_goes_where_its_participant_is_by_then() -> None:
    async with EngineWorld() as world:
        sagas = await queued(world, sagas=3)
        await world.declare_participant(maxInFlight=1, url="http://moved")
        world.transport.release("action reserve")
        for saga in sagas:
            await world.until_phase(saga, "Succeeded")
        assert world.transport.urls == ["http://stub", "http://moved", "http://moved"]


async def test_a_call_that_waited_is_parked_where_its_participant_is_gone_by_then() -> None:
    async with EngineWorld() as world:
        first, second = await queued(world, sagas=2)
        await world.first.declarations.delete_participant("shop", "stub")
        world.transport.release("action reserve")
        await world.until_phase(first, "Succeeded")
        assert (await world.until_phase(second, "InterventionRequired")).reason == "ParticipantNotFound"


async def test_a_changed_limit_replaces_the_old_one_and_is_not_added_to_it() -> None:
    async with EngineWorld() as world:
        sagas = await queued(world, sagas=4)
        await world.declare_participant(maxInFlight=2)
        sagas.append(await world.start())
        await world.until_called("action reserve", 2)
        await asyncio.sleep(1)
        assert world.transport.calls == ["action reserve"] * 2
        await world.declare_participant(maxInFlight=9)
        sagas.append(await world.start())
        await world.until_called("action reserve", 6)
        world.transport.release("action reserve")
        for saga in sagas:
            await world.until_phase(saga, "Succeeded")
        assert not tenure_of(world.first).runner._calls._limiter._queues


async def test_a_call_that_waited_is_not_made_for_a_saga_that_is_being_undone_by_then() -> None:
    async with EngineWorld() as world:
        first, second = await queued(world, sagas=2)
        await world.first.sagas.ask(second, "cancel")
        await world.until_noted(second, "CancelAsked")
        world.transport.release("action reserve")
        await world.until_phase(first, "Succeeded")
        view = await world.until_phase(second, "Compensated")
        assert (view.reason, view.steps[0].state, view.steps[0].reason) == ("Cancelled", "Failed", "NotSent")
        assert world.transport.calls == ["action reserve"]


async def test_a_call_that_was_not_made_says_nothing_of_the_one_before() -> None:
    """The first attempt may have had its effect, so the step is undone although the second was never sent."""
    async with EngineWorld() as world:
        await world.declare("pay")
        await world.declare_participant(maxInFlight=1)
        world.transport.hold("action pay")
        blocking = await world.start(id="0b8a3c5e-0000-4000-8000-000000000001")
        await world.until_called("action pay")
        other = await world.start(id="0b8a3c5e-0000-4000-8000-000000000002")
        await world.crash_first()
        await world.engine()
        await world.until_called("action pay", 2)
        await world.first.sagas.ask(other, "cancel")
        await world.until_noted(other, "CancelAsked")
        world.transport.release("action pay")
        await world.until_phase(blocking, "Succeeded")
        await world.until_phase(other, "Compensated")
        assert world.transport.calls == ["action pay", "action pay", "compensation pay"]


async def test_a_probe_that_is_refused_is_told_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    async with EngineWorld() as world:
        steps = definition_spec("pay")
        steps["steps"][0]["probe"] = {"http": {"method": "GET", "path": "/mistyped"}}
        await world.declare("pay", steps=steps["steps"])
        world.transport.answer("action pay", NO_ANSWER)
        world.transport.answer("probe pay", WRONG)
        await world.until_phase(await world.start(), "Compensated")
    assert "probe" in capsys.readouterr().out


async def test_a_cancelled_waiter_leaves_its_slot_to_the_next() -> None:
    limiter, key = ConcurrencyLimiter(lambda _namespace, _name: 1), ("shop", "stub")
    await limiter.acquire(key)
    given, waiting, last = (asyncio.create_task(limiter.acquire(key)) for _ in range(3))
    await asyncio.sleep(0)
    waiting.cancel()
    limiter.release(key)
    given.cancel()  # in the moment in which it was granted its slot
    await last
    limiter.release(key)
    assert not limiter._queues


async def test_a_call_that_waited_is_not_made_while_a_person_holds_its_saga() -> None:
    async with EngineWorld() as world:
        first, held, third = await queued(world, sagas=3)
        await world.first.sagas.ask(held, "suspend")
        await world.until_noted(held, "SagaSuspended")
        world.transport.release("action reserve")
        await world.until_phase(first, "Succeeded")
        await world.until_phase(third, "Succeeded")
        await asyncio.sleep(30)
        assert world.transport.calls.count("action reserve") == 2
        await world.first.sagas.ask(held, "resume")
        await world.until_phase(held, "Succeeded")
