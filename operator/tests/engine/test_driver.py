"""One saga's events strictly in their order: decide, make durable if it must be, then act."""

import pytest

from kompensa.engine import driver
from kompensa.engine.running_saga import InboxItem
from kompensa.engine.saga_rows import stored_saga
from kompensa.journal.errors import RejectedError
from kompensa.journal.records import Acceptance, Signal
from kompensa.model.events import SuspendAsked
from kompensa.model.requests import Request
from kompensa.model.saga import StepPhase
from tests.support.engine_world import EngineWorld, tenure_of
from tests.support.journal_link import unnoticed
from tests.support.scripted_transport import DONE, NO_ANSWER, REFUSED
from tests.support.waiting import until


def durable_steps(world: EngineWorld, saga_id: str) -> list[StepPhase]:
    """The phases of the steps by the journal, read without a turn of the loop."""
    return [step.phase for step in stored_saga(world.journal.sagas._rows[saga_id]).saga.steps]


async def undeclared_calls(*, keyed: bool) -> list[str]:
    """The calls that were made although the journal said that their step had not been started or was not undone.

    One saga that succeeds and one that turns back.
    """
    found: list[str] = []
    declared = {"action": {StepPhase.CALLING}, "compensation": {StepPhase.UNDOING}}

    def look(saga_id: str, call: str, request: Request) -> None:
        step = ("reserve", "pay").index(request.step)
        if durable_steps(world, saga_id)[step] not in declared[request.direction]:
            found.append(call)

    async with EngineWorld() as world:
        await world.declare("reserve", "pay", keyed=keyed)
        world.transport.looked = look
        await world.until_phase(await world.start(), "Succeeded")
        world.transport.answer("action pay", REFUSED)
        await world.until_phase(await world.start(), "Compensated")
    return found


async def test_a_participant_without_keys_is_called_only_when_the_journal_says_so() -> None:
    assert await undeclared_calls(keyed=False) == []


async def test_calling_before_the_commit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: a driver that never waits for the journal before it acts."""
    monkeypatch.setattr(driver, "must_commit_first", lambda *_: False)
    assert await undeclared_calls(keyed=False) != []


async def test_a_keyed_participant_may_be_called_before_the_next_write() -> None:
    assert set(await undeclared_calls(keyed=True)) == {"action pay"}


async def test_a_keyed_saga_costs_two_writes() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", "ship")
        saga = await world.start()
        await world.until_phase(saga, "Succeeded")
        assert [row.version for row in await world.journal.sagas.log(saga)] == [1, 2]


async def test_nobody_is_told_of_an_end_that_is_not_durable() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        with world.journal_away():
            world.transport.release("action reserve")
            assert (await world.first.sagas.rested(saga, 1.0)).phase == "Running"
        assert (await world.first.sagas.rested(saga, 60.0)).phase == "Succeeded"


async def test_the_history_has_every_event_in_order() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        world.transport.answer("action reserve", NO_ANSWER, NO_ANSWER, DONE)
        world.transport.answer("action pay", REFUSED)
        saga = await world.start()
        await world.until_phase(saga, "Compensated")
        assert await world.history(saga) == [
            "SagaAccepted",
            "StepStarted",
            "StepUnknown",
            "StepStarted",
            "StepUnknown",
            "StepStarted",
            "StepSucceeded",
            "StepStarted",
            "StepFailed",
            "SagaCompensating",
            "CompensationStarted",
            "StepCompensated",
            "SagaCompensated",
        ]


async def test_replies_that_come_together_are_taken_one_after_the_other() -> None:
    """Ten steps side by side, all answered in the same moment: no write is lost, no version is written twice."""
    names = [f"s{number}" for number in range(10)]
    async with EngineWorld() as world:
        await world.declare(*names, keyed=False)
        spec = world.first.declarations.definitions("shop")["order"][1]
        for step in spec["steps"]:
            step["dependsOn"] = []
        await world.first.declarations.put_definition("shop", "order", spec)
        for name in names:
            world.transport.hold(f"action {name}")
        saga = await world.start()
        await until(lambda: len(world.transport.calls) == 10, "all to be called")
        for name in names:
            world.transport.release(f"action {name}")
        await world.until_phase(saga, "Succeeded")
        versions = [row.version for row in await world.journal.sagas.log(saga)]
        assert versions == list(range(1, len(versions) + 1))
        assert sorted(world.transport.calls) == sorted(f"action {name}" for name in names)


async def test_a_fault_in_a_call_is_an_unknown_outcome_and_the_saga_goes_on() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")

        def fail_once(_saga: str, call: str, request: Request) -> None:
            if call == "action pay" and request.attempt == 1:
                raise OverflowError("Python int too large to convert to C long")

        world.transport.looked = fail_once
        view = await world.until_phase(await world.start(), "Succeeded")
        assert view.steps[1].attempts == 2


async def test_a_write_that_the_journal_refuses_stalls_only_its_saga() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", keyed=False)
        world.transport.hold("action reserve")
        bad, good = await world.start(name="bad"), await world.start(name="good")
        await world.until_called("action reserve", 2)
        world.links[world.first].poisonous = lambda write: not isinstance(write, Acceptance) and write.id == bad
        world.transport.release("action reserve")
        await world.until_phase(good, "Succeeded")
        assert (await world.view(bad)).phase == "Running"
        assert world.transport.calls.count("action pay") == 1, "what was decided, but not written, was acted on"
        assert world.first.trouble is None


async def test_an_acceptance_that_the_journal_refuses_is_told_and_forgotten() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.links[world.first].poisonous = lambda write: isinstance(write, Acceptance)
        with pytest.raises(RejectedError):
            await world.start()
        assert len(tenure_of(world.first).sagas) == 0
        assert world.transport.calls == []


@pytest.mark.parametrize(("rejected", "phase"), [(False, "Suspended"), (True, "Running")])
async def test_an_item_that_comes_during_acceptance_is_taken_after_it(rejected: bool, phase: str) -> None:
    """If PostgreSQL rejects what the item leads to, the saga stalls; it was accepted all the same."""
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        tenure, link = tenure_of(world.first), world.links[world.first]

        async def suspend(question: str) -> None:
            link.after = unnoticed
            [running] = tenure.sagas
            signal = Signal(id=1, saga_id=running.saga.id, kind="suspend", reason="")
            tenure.runner.deliver(running, InboxItem(SuspendAsked(), signal))

        link.after = suspend
        link.poisonous = lambda write: rejected and not isinstance(write, Acceptance)
        saga = await world.start()
        assert saga in tenure.sagas
        assert world.durable_phase(saga) == phase
        link.poisonous = lambda _: False
        world.transport.release("action reserve")
