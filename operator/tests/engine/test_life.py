"""The life of an engine process: join, renew, lose, join again; and what readiness says of it."""

import asyncio
from itertools import pairwise

import pytest

from kompensa.engine.errors import NotReadyError
from kompensa.journal.errors import JournalUnavailableError, RejectedError
from tests.support.engine_world import EngineWorld, tenure_of
from tests.support.virtual_time import elapsed
from tests.support.waiting import until


async def test_an_engine_waits_for_its_journal_and_says_so() -> None:
    async with EngineWorld() as world:
        engine = world.new_engine("two")
        with world.journal_away(engine):
            await engine.start()
            await asyncio.sleep(30)
            assert "the journal is away" in str(engine.trouble)
            with pytest.raises(NotReadyError, match="the journal is away"):
                engine.ready()
        await until(lambda: engine.tenure is not None, "the engine to join")


@pytest.mark.parametrize("error", [RejectedError("28P01: wrong password"), JournalUnavailableError("x")])
async def test_a_journal_that_refuses_the_engine_is_told_and_tried_again(
    error: Exception,
) -> None:
    async with EngineWorld() as world:
        engine = world.new_engine("two")
        world.links[engine].fail_with = error
        await engine.start()
        await asyncio.sleep(30)
        assert str(error) in str(engine.trouble)
        world.links[engine].fail_with = None
        await until(lambda: engine.tenure is not None, "the engine to join")


async def test_a_fault_that_nobody_foresaw_is_told_and_never_waited_out() -> None:
    async with EngineWorld() as world:
        world.links[world.first].fail_with = ValueError("what no driver should raise")
        await until(world.first.fallen.is_set, "the engine to say that it has fallen")
        assert "a fault in the engine" in str(world.first.trouble)
        with pytest.raises(NotReadyError):
            world.first.ready()
        world.links[world.first].fail_with = None


async def test_a_lease_is_renewed_well_before_it_ends() -> None:
    async with EngineWorld() as world:
        epoch = tenure_of(world.first).held.lease.epoch
        renewals: list[float] = []

        async def note(question: str) -> None:
            if question == "leases.renew":
                renewals.append(elapsed())

        world.links[world.first].after = note
        await asyncio.sleep(60)
        assert tenure_of(world.first).held.lease.epoch == epoch
        assert max(later - before for before, later in pairwise(renewals)) < 5 / 2


async def test_an_idle_engine_whose_journal_is_away_is_not_ready() -> None:
    async with EngineWorld() as world:
        with world.journal_away():
            await asyncio.sleep(3)
            assert "the journal is away" in str(world.first.trouble)
        await until(lambda: world.first.trouble is None, "the engine to be ready again")


async def test_a_journal_that_refuses_a_renewal_does_not_end_the_engine() -> None:
    async with EngineWorld() as world:
        world.links[world.first].fail_with = RejectedError("42501: permission denied")
        await asyncio.sleep(30)
        assert "permission denied" in str(world.first.trouble)
        world.links[world.first].fail_with = None
        await until(lambda: world.first.trouble is None, "the engine to be ready again")
        await world.declare("reserve")
        await world.until_phase(await world.start(), "Succeeded")


async def test_an_engine_that_lost_its_lease_drops_everything_and_joins_again() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        second = await world.engine("two")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        first, epoch = world.first, tenure_of(world.first).held.lease.epoch
        with world.journal_away(first):
            await until(lambda: len(tenure_of(second).held.shards) == 32, "the second to take everything over")
            trouble = first.trouble
        assert trouble is not None
        world.transport.release("action reserve")
        await world.until_phase(saga, "Succeeded")
        await until(lambda: first.trouble is None and tenure_of(first).held.lease.epoch > epoch, "a new lease")


async def test_an_engine_is_ready_again_after_a_lease_that_was_lost_with_a_commit_under_way() -> None:
    """Failed commits of an old lease say nothing about the new one. No saga would come to clear them."""
    async with EngineWorld() as world:
        await world.declare("reserve")
        await world.engine("two")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        with world.journal_away(world.first):
            world.transport.release("action reserve")
            await world.until_phase(saga, "Succeeded")
        await until(lambda: world.first.trouble is None, "the first engine to be ready again")


async def test_a_saga_whose_owner_cannot_reach_the_journal_is_called_by_one_engine_at_a_time() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve", "pay")
        await world.engine("two")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        with world.journal_away(world.first):
            await asyncio.sleep(10)
            world.transport.release("action reserve")
            await world.until_phase(saga, "Succeeded")
        assert world.transport.calls == ["action reserve", "action reserve", "action pay"]


async def test_two_engines_of_one_name_do_not_take_the_lease_from_each_other_for_ever() -> None:
    async with EngineWorld() as world:
        twin = world.new_engine("one")
        await twin.start()
        await until(lambda: twin.trouble is None, "the later one to have the name")
        await asyncio.sleep(60)
        assert twin.trouble is None
        assert "name one" in str(world.first.trouble)


async def test_stopping_says_so() -> None:
    async with EngineWorld() as world:
        engine = world.engines.pop()
        await engine.stop()
        assert engine.trouble == "stopping"


async def test_an_engine_that_loses_its_lease_while_it_stops_does_not_join_again() -> None:
    async with EngineWorld(drain=60.0) as world:
        await world.declare("reserve")
        second = await world.engine("two")
        world.transport.hold("action reserve")
        saga = await world.start()
        await world.until_called("action reserve")
        first = world.first
        stopping = asyncio.create_task(first.stop())
        with world.journal_away(first):
            await until(lambda: len(tenure_of(second).held.shards) == 32, "the second to take everything over")
        await stopping
        world.engines.remove(first)
        assert first.tenure is None
        assert len(tenure_of(second).held.shards) == 32
        world.transport.release("action reserve")
        await until(lambda: world.durable_phase(saga) == "Succeeded", "the saga to succeed")
