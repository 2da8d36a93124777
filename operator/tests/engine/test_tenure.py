"""One lease in a whole engine: recovery, shards that come and go, and no call unless the lease surely holds."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from kompensa.engine.errors import NotReadyError
from kompensa.journal.errors import StaleLeaseError
from kompensa.journal.records import Grant, Lease
from tests.support.engine_world import QUICKLY, EngineWorld, tenure_of
from tests.support.journal_link import unnoticed
from tests.support.scripted_transport import DONE, NO_ANSWER, REFUSED, WRONG
from tests.support.waiting import until


async def test_a_successor_takes_every_saga_up_where_the_journal_left_it() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", keyed=False)
        world.transport.hold("action pay")
        sagas = [await world.start() for _ in range(20)]
        await world.until_called("action pay", 20)
        await world.crash_first()
        world.transport.release("action pay")
        await world.engine()
        for saga in sagas:
            await world.until_phase(saga, "Succeeded")
        assert world.transport.calls.count("action reserve") == 20, "a step that the journal knows was repeated"


async def test_more_sagas_than_one_batch_are_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kompensa.engine.recovery._BATCH", 3)
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        sagas = [await world.start() for _ in range(10)]
        await world.until_called("action reserve", 10)
        await world.crash_first()
        world.transport.release("action reserve")
        await world.engine()
        for saga in sagas:
            await world.until_phase(saga, "Succeeded")


async def test_recovery_waits_for_a_journal_that_is_away() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        await world.crash_first()
        world.transport.release("action reserve")
        engine = world.new_engine()
        await engine.start()
        await until(lambda: engine.tenure is not None, "the engine to join")
        with world.journal_away():
            await asyncio.sleep(3)
        await world.until_phase(saga, "Succeeded")


async def test_a_row_that_cannot_be_read_does_not_keep_the_others() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        broken, whole = await world.start(), await world.start()
        await world.until_called("action reserve", 2)
        await world.crash_first()
        world.transport.release("action reserve")
        world.spoil(broken)
        await world.engine()
        await world.until_phase(whole, "Succeeded")


async def test_a_saga_that_is_asked_for_again_while_it_is_recovered_is_not_passed_over() -> None:
    """Its row is read while the new request, which the journal will refuse, is in memory under the same id."""
    saga = "0b8a3c5e-0000-4000-8000-000000000001"
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        await world.start(id=saga)
        await world.until_called("action reserve")
        await world.crash_first()
        world.transport.release("action reserve")
        engine = world.new_engine()
        again: list[asyncio.Task[str]] = []

        async def ask_again(question: str) -> None:
            if question == "sagas.unsettled" and not again:
                again.append(asyncio.create_task(world.start(id=saga)))
                await until(lambda: saga in tenure_of(engine).sagas, "the new request to be in memory")

        world.links[engine].after = ask_again
        await engine.start()
        await world.until_phase(saga, "Succeeded")
        assert await again[0] == saga


async def test_a_parked_saga_that_is_settled_leaves_memory() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.answer("action reserve", WRONG)
        await world.until_phase(await world.start(), "InterventionRequired")
        await until(lambda: not tenure_of(world.first).sagas, "memory to be empty")


async def test_shards_are_given_to_an_engine_that_joins_once_they_are_empty() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        sagas = [await world.start() for _ in range(64)]
        second = await world.engine("two")
        first = world.first
        await until(lambda: len(tenure_of(first).held.closing) == 16, "the first engine to close what is too much")
        late = await world.start()
        assert late in {running.saga.id for running in tenure_of(first).sagas}
        assert late not in {saga.saga.id for saga in tenure_of(first).sagas.of_shards(tenure_of(first).held.closing)}
        assert len(tenure_of(first).held.shards) == 32, "a shard with sagas in memory was given away"
        world.transport.release("action reserve")
        for saga in [*sagas, late]:
            await world.until_phase(saga, "Succeeded")
        await until(lambda: len(tenure_of(second).held.shards) == 16, "the second engine to get its part")
        assert tenure_of(first).held.shards | tenure_of(second).held.shards == set(range(32))


async def test_a_shard_whose_sagas_are_still_being_read_is_not_given_away() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        sagas = [await world.start() for _ in range(64)]
        await world.until_called("action reserve", 64)
        await world.crash_first()
        first, read = world.new_engine(), asyncio.Event()

        async def wait(question: str) -> None:
            if question == "sagas.unsettled":
                await read.wait()

        world.links[first].after = wait
        await first.start()
        second = await world.engine("two")
        await asyncio.sleep(10)
        assert tenure_of(first).held.shards == set(range(32))
        read.set()
        world.transport.release("action reserve")
        for saga in sagas:
            await world.until_phase(saga, "Succeeded")
        await until(lambda: len(tenure_of(second).held.shards) == 16, "the second engine to get its part")
        assert world.transport.calls.count("action reserve") == 64 + 64, "a saga was taken over by both"


async def test_a_row_of_a_shard_that_was_given_away_while_it_was_read_is_not_taken_in() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.answer("action reserve", WRONG, DONE)
        saga = await world.start()
        await world.until_phase(saga, "InterventionRequired")
        tenure = tenure_of(world.first)
        await until(lambda: not tenure.sagas, "memory to be empty")

        async def give_away(question: str) -> None:
            if question == "sagas.find":
                tenure.held.shards = frozenset()

        world.links[world.first].after = give_away
        await world.first.sagas.ask(saga, "resume")
        await asyncio.sleep(1)
        assert not tenure.sagas
        world.links[world.first].after = unnoticed
        await world.until_phase(saga, "Succeeded")


async def test_sagas_that_only_wait_do_not_keep_another_engine_from_its_part() -> None:
    patient: dict[str, Any] = {"initialInterval": "1h", "maximumInterval": "1h", "maximumAttempts": 3, "jitter": 0.2}
    longest = 3600 * (1 + 0.2) + 60
    async with EngineWorld() as world:
        await world.declare("reserve", retryPolicy=patient)
        world.transport.answer("action reserve", *[NO_ANSWER] * 64, DONE)
        sagas = [await world.start() for _ in range(64)]
        await world.until_called("action reserve", 64)
        for saga in sagas[:32]:
            await world.until_noted(saga, "StepUnknown")
            await world.first.sagas.ask(saga, "suspend")
            await world.until_noted(saga, "SagaSuspended")
        second = await world.engine("two")
        await until(lambda: len(tenure_of(second).held.shards) == 16, "the second engine to get its part")
        await until(lambda: len(tenure_of(second).sagas) == 32, "the second engine to have read it")
        assert len(tenure_of(world.first).sagas) == 32
        for saga in sagas[:32]:
            await world.first.sagas.ask(saga, "resume")
        for saga in sagas:
            await world.until_phase(saga, "Succeeded", seconds=longest)
        assert world.transport.calls.count("action reserve") == 128


async def test_an_engine_that_leaves_gives_its_shards_to_the_other_at_once() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        second = await world.engine("two")
        await until(lambda: second.tenure and second.tenure.held.shards, "the second engine to get a part")
        await world.first.stop()
        world.engines.remove(world.first)
        await until(lambda: len(tenure_of(second).held.shards) == 32, "the second to have all", seconds=1.0)
        await world.until_phase(await world.start(), "Succeeded")


async def test_a_stopping_engine_waits_for_calls_under_way_and_writes_them_down() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", keyed=True)
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        engine = world.engines.pop()
        stopping = asyncio.create_task(engine.stop())
        await asyncio.sleep(0.5)
        with pytest.raises(NotReadyError):
            await world.start(engine=engine)
        world.transport.release("action reserve")
        await stopping
        assert world.transport.calls == ["action reserve"], "a call was begun while leaving"
        assert "StepSucceeded" in await world.history(saga)
        await world.engine()
        await world.until_phase(saga, "Succeeded")
        assert world.transport.calls == ["action reserve", "action pay"]


async def test_a_call_that_never_ends_does_not_hold_up_a_stopping_engine() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        async with asyncio.timeout(8):
            await world.engines.pop().stop()
        world.transport.release("action reserve")
        await world.engine()
        await world.until_phase(saga, "Succeeded")


async def test_permission_waits_while_the_lease_is_not_surely_held() -> None:
    async with EngineWorld() as world:
        tenure = tenure_of(world.first)
        await tenure.held.permitted()
        with world.journal_away():
            await asyncio.sleep(6)
            asked = asyncio.create_task(tenure.held.permitted())
            await asyncio.sleep(5)
            assert not asked.done()
        await asked


async def test_permission_is_refused_once_the_lease_is_lost() -> None:
    async with EngineWorld() as world:
        tenure = tenure_of(world.first)
        with world.journal_away():
            await asyncio.sleep(6)
            asked = asyncio.create_task(tenure.held.permitted())
            await asyncio.sleep(0.1)
            tenure.end(StaleLeaseError("epoch 1 is over"))
        with pytest.raises(StaleLeaseError):
            await asked
        with pytest.raises(StaleLeaseError):
            await tenure.held.permitted()


async def test_a_call_that_waited_for_a_place_is_not_made_when_the_lease_ended_meanwhile() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        await world.declare_participant(maxInFlight=1)
        world.transport.hold("action reserve")
        await world.start()
        await world.start()
        await world.until_called("action reserve")
        with world.journal_away():
            await asyncio.sleep(6)
            world.transport.release("action reserve")
            await asyncio.sleep(1)
            assert world.transport.calls == ["action reserve"]
        await world.until_called("action reserve", 2)


async def test_a_retry_that_comes_due_without_a_lease_waits_for_it() -> None:
    async with EngineWorld() as world:
        patient = {"initialInterval": "10s", "maximumInterval": "10s", "maximumAttempts": 3}
        await world.declare("reserve", retryPolicy=patient)
        world.transport.answer("action reserve", NO_ANSWER, REFUSED)
        saga = await world.start()
        await world.until_called("action reserve")
        await asyncio.sleep(0.05)
        with world.journal_away():
            await asyncio.sleep(20)
            assert world.transport.calls == ["action reserve"]
        await world.until_phase(saga, "Compensated")


async def test_new_sagas_go_to_the_emptiest_shard() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        for _ in range(64):
            await world.start()
        load = Counter(running.shard for running in tenure_of(world.first).sagas)
        assert (set(load), set(load.values())) == (set(range(32)), {2})
        world.transport.release("action reserve")


async def test_an_engine_without_a_shard_takes_no_saga() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        tenure = tenure_of(world.first)
        tenure.renew(Grant(lease=Lease("one", 1), shards=frozenset(), gained=frozenset()), 1e9)
        with pytest.raises(NotReadyError, match="shard"):
            await world.start()
        assert world.first.trouble == "owns no shard yet"


async def test_a_call_that_was_written_down_while_leaving_is_made_where_it_could_not_be_repeated() -> None:
    once = {**QUICKLY, "maximumAttempts": 1}
    async with EngineWorld() as world:
        await world.declare("reserve", "pay", keyed=False, retryPolicy=once)
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        stopping = asyncio.create_task(world.engines.pop().stop())
        await asyncio.sleep(0.5)
        world.transport.release("action reserve")
        await stopping
        await world.engine()
        await world.until_phase(saga, "Succeeded")
        assert world.transport.calls == ["action reserve", "action pay"]
