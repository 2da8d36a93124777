"""Requests to sagas outlive the caller and the engine that owns the saga, and have their effect once."""

import asyncio
from typing import get_args

import msgspec
import pytest

from kompensa.engine.errors import SagaEndedError, UnknownSagaError
from kompensa.engine.running_saga import InboxItem, RunningSaga, resting
from kompensa.engine.start import ObjectRef
from kompensa.journal.records import SignalKind
from kompensa.model.events import ResumeAsked
from kompensa.model.specs import DeletionPolicy
from tests.support.engine_world import EngineWorld, tenure_of
from tests.support.scripted_transport import DONE, NO_ANSWER, REFUSED, WRONG

SAGA = "0b8a3c5e-0000-4000-8000-000000000001"


@pytest.mark.parametrize("turns", range(6))
async def test_a_saga_that_is_resumed_twice_is_not_lost_between_parking_and_leaving(turns: int) -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.answer("action reserve", WRONG, WRONG, DONE)
        saga = await world.start()
        await world.until_phase(saga, "InterventionRequired")
        await world.first.sagas.ask(saga, "resume")
        for _ in range(turns):
            await asyncio.sleep(0)
        await world.first.sagas.ask(saga, "resume")
        await asyncio.sleep(30)
        assert not tenure_of(world.first).sagas
        if world.durable_phase(saga) == "InterventionRequired":  # the second came while the first was at work
            await world.first.sagas.ask(saga, "resume")
        await world.until_phase(saga, "Succeeded")
        assert world.transport.calls.count("action reserve") == 3


async def test_a_request_that_comes_as_a_saga_is_about_to_leave_memory_keeps_it_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.answer("action reserve", WRONG, NO_ANSWER, DONE)
        tenure = tenure_of(world.first)
        asked: list[str] = []
        follow_up = tenure.runner._follow_up

        def asked_just_before(running: RunningSaga) -> None:
            if resting(running.saga) and not asked:
                asked.append(running.saga.id)
                tenure.runner.deliver(running, InboxItem(ResumeAsked()))
            follow_up(running)

        monkeypatch.setattr(tenure.runner, "_follow_up", asked_just_before)
        saga = await world.start()
        await world.until_phase(saga, "Succeeded")
        assert asked == [saga]


async def test_cancelling_undoes_what_was_done() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action pay")
        saga = await world.start()
        await world.until_called("action pay")
        await world.first.sagas.ask(saga, "cancel", "asked by the customer")
        await world.until_noted(saga, "CancelAsked")
        world.transport.release("action pay")
        view = await world.until_phase(saga, "Compensated")
        assert (view.reason, view.message) == ("Cancelled", "asked by the customer")
        assert world.transport.calls == ["action reserve", "action pay", "compensation pay", "compensation reserve"]


async def test_a_request_is_noted_once_however_often_it_is_seen() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.first.sagas.ask(saga, "suspend")
        for _ in range(5):
            tenure_of(world.first).signals.wake()
            await asyncio.sleep(0)
        world.transport.release("action reserve")
        await world.until_phase(saga, "Suspended")
        assert (await world.history(saga)).count("SagaSuspended") == 1
        assert await world.journal.signals.asked(range(32)) == []


async def test_a_request_whose_notification_is_lost_is_found_in_time() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        saga = await world.start()
        world.journal._watchers.clear()
        await world.first.sagas.ask(saga, "cancel")
        await world.until_noted(saga, "CancelAsked", seconds=10)
        world.transport.release("action reserve")


async def test_a_request_outlives_the_engine_that_took_it() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        with world.journal_away():
            await world.journal.signals.ask(saga, "cancel", "")
            await world.crash_first()
        world.transport.release("action reserve")
        await world.engine()
        await world.until_phase(saga, "Compensated")


async def test_a_request_reaches_the_engine_that_owns_the_saga() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        saga = await world.start()
        second = await world.engine("two")
        await second.sagas.ask(saga, "cancel")
        await world.until_noted(saga, "CancelAsked")
        world.transport.release("action reserve")
        await world.until_phase(saga, "Compensated")


async def test_a_parked_saga_comes_back_into_memory_when_it_is_resumed() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.answer("action pay", WRONG, DONE)
        saga = await world.start()
        await world.until_phase(saga, "InterventionRequired")
        await asyncio.sleep(1)
        assert len(tenure_of(world.first).sagas) == 0
        await world.first.sagas.ask(saga, "resume")
        await world.until_phase(saga, "Succeeded")
        assert world.transport.calls == ["action reserve", "action pay", "action pay"]


async def test_a_suspended_saga_stays_suspended_whoever_takes_it_over() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        await world.first.sagas.ask(saga, "suspend")
        await world.until_phase(saga, "Suspended")
        await world.crash_first()
        world.transport.release("action reserve")
        await world.engine()
        await asyncio.sleep(60)
        assert world.durable_phase(saga) == "Suspended"
        assert world.transport.calls == ["action reserve"]
        await world.first.sagas.ask(saga, "resume")
        await world.until_phase(saga, "Succeeded")


async def test_a_deadline_passes_only_while_nobody_holds_the_saga() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", deadline="30s")
        saga = await world.start(suspend=True)
        await asyncio.sleep(120)
        assert world.durable_phase(saga) == "Suspended"
        await world.first.sagas.ask(saga, "resume")
        view = await world.until_phase(saga, "Compensated")
        assert view.reason == "DeadlineExceeded"


@pytest.mark.parametrize("kind", get_args(SignalKind)[:3])
async def test_a_saga_that_has_ended_can_be_asked_nothing(kind: SignalKind) -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        saga = await world.start()
        await world.until_phase(saga, "Succeeded")
        with pytest.raises(SagaEndedError, match="Succeeded"):
            await world.first.sagas.ask(saga, kind)


async def test_a_request_that_came_too_late_is_withdrawn() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        saga = await world.start()
        await world.until_phase(saga, "Succeeded")
        await world.journal.signals.ask(saga, "cancel", "")
        await asyncio.sleep(10)
        assert await world.journal.signals.asked(range(32)) == []
        assert world.durable_phase(saga) == "Succeeded"


async def test_requests_to_a_saga_that_cannot_be_read_hold_up_no_other() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action pay")
        world.transport.answer("action reserve", WRONG, DONE)
        parked = await world.start()
        await world.until_phase(parked, "InterventionRequired")
        await asyncio.sleep(1)
        row = world.journal.sagas._rows[parked]
        world.journal.sagas._rows[parked] = msgspec.structs.replace(row, state="{}")
        for _ in range(2500):
            await world.journal.signals.ask(parked, "resume", "")
        saga = await world.start()
        await world.until_called("action pay")
        await world.first.sagas.ask(saga, "cancel")
        await world.until_noted(saga, "CancelAsked", seconds=20)
        world.transport.release("action pay")
        await world.until_phase(saga, "Compensated")


async def test_nothing_is_asked_of_a_saga_that_nobody_knows() -> None:
    async with EngineWorld() as world:
        with pytest.raises(UnknownSagaError, match=SAGA):
            await world.first.sagas.ask(SAGA, "cancel")


@pytest.mark.parametrize(
    ("started_with", "asked_for", "end"),
    [
        ("Compensate", None, "Compensated"),
        ("Orphan", None, "Succeeded"),
        ("Orphan", "Compensate", "Compensated"),
        ("Compensate", "Orphan", "Succeeded"),
    ],
)
async def test_a_saga_whose_object_is_gone_is_settled_by_its_policy(
    started_with: DeletionPolicy, asked_for: DeletionPolicy | None, end: str
) -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.hold("action reserve")
        await world.start(object=ObjectRef(name="order-1", uid=SAGA), deletion_policy=started_with)
        await world.until_called("action reserve")
        await world.first.sagas.object_deleted(SAGA, asked_for)
        await world.until_noted(SAGA, "ObjectDeleted")
        world.transport.release("action reserve")
        await world.until_phase(SAGA, end)


async def test_cancelling_ends_the_wait_for_a_retry() -> None:
    patient = {"initialInterval": "1h", "maximumInterval": "1h", "maximumAttempts": 3}
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", retryPolicy=patient)
        world.transport.answer("action pay", NO_ANSWER)
        saga = await world.start()
        await world.until_called("action pay")
        await asyncio.sleep(1)
        await world.first.sagas.ask(saga, "cancel")
        await world.until_phase(saga, "Compensated", seconds=10)
        assert world.transport.calls[-2:] == ["compensation pay", "compensation reserve"]


async def test_cancelling_what_was_started_suspended_calls_nobody_also_after_a_crash() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", "ship!")
        saga = await world.start(suspend=True)
        await world.crash_first()
        await world.engine()
        await world.first.sagas.ask(saga, "cancel")
        view = await world.until_phase(saga, "Compensated")
        assert (world.transport.calls, view.progress) == ([], "0/3")


async def test_cancelling_a_saga_that_is_parked_while_undoing_calls_the_compensation_again() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.answer("action pay", REFUSED)
        world.transport.answer("compensation reserve", WRONG, DONE)
        saga = await world.start()
        await world.until_phase(saga, "InterventionRequired")
        await world.first.sagas.ask(saga, "cancel")
        await world.until_phase(saga, "Compensated")
        assert world.transport.calls.count("compensation reserve") == 2
