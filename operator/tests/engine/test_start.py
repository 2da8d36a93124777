"""A request becomes a saga, once: ids, keys, input, and the answer."""

import asyncio

import pytest

from kompensa.engine.errors import (
    IdempotencyKeyReusedError,
    IdReusedError,
    InputInvalidError,
    NotReadyError,
    OverloadedError,
    UnknownDefinitionError,
)
from kompensa.engine.service import ACCEPTANCE_TIMEOUT_SECONDS
from kompensa.engine.start import ObjectRef
from kompensa.journal.records import SagaFilter
from kompensa.model.bounds import DEEPEST
from tests.support.engine_world import EngineWorld, tenure_of
from tests.support.waiting import until

SAGA = "0b8a3c5e-0000-4000-8000-000000000001"


async def sagas_of_two_starts_with_one_key(world: EngineWorld) -> set[str]:
    await world.declare("reserve")
    starts = (world.start(idempotency_key="cart-1", input={"a": 1}) for _ in range(2))
    return set(await asyncio.gather(*starts))


async def test_two_starts_with_one_key_are_one_saga() -> None:
    async with EngineWorld() as world:
        assert len(await sagas_of_two_starts_with_one_key(world)) == 1


async def test_a_journal_without_the_keys_uniqueness_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: only the journal knows that a key exists."""
    async with EngineWorld() as world:
        monkeypatch.setattr(world.journal.sagas, "_by_key", lambda *_: None)
        assert len(await sagas_of_two_starts_with_one_key(world)) == 2


async def test_a_key_belongs_to_its_definition_and_namespace() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        await world.declare("reserve", name="other")
        first = await world.start(idempotency_key="cart-1")
        assert await world.start("other", idempotency_key="cart-1") != first


async def test_a_key_with_another_input_is_refused_and_names_the_saga_it_belongs_to() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        first = await world.start(idempotency_key="cart-1", input={"a": 1})
        with pytest.raises(IdempotencyKeyReusedError, match=first):
            await world.start(idempotency_key="cart-1", input={"a": 2})


async def test_a_key_is_remembered_after_the_saga_has_ended() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        first = await world.start(idempotency_key="cart-1")
        await world.until_phase(first, "Succeeded")
        assert await world.start(idempotency_key="cart-1") == first
        assert world.transport.calls == ["action reserve"]


async def test_the_uid_of_an_object_is_the_sagas_id() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        born_of = ObjectRef(name="order-1", uid=SAGA, generation=1)
        assert await world.start(object=born_of) == SAGA
        assert await world.start(object=born_of) == SAGA
        assert (await world.until_phase(SAGA, "Succeeded")).name == "order-1"
        assert world.transport.calls == ["action reserve"]


async def test_a_repeated_start_is_not_acknowledged_before_the_first_is_durable() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        with world.journal_away():
            first = asyncio.create_task(world.start(id=SAGA))
            await until(lambda: SAGA in tenure_of(world.first).sagas, "the first to be on its way")
            second = asyncio.create_task(world.start(id=SAGA))
            await asyncio.sleep(3)
            assert not second.done()
        assert {await first, await second} == {SAGA}


async def test_a_repeated_start_whose_first_was_refused_is_judged_by_itself() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        older = await world.start(idempotency_key="cart-1")
        starts = [world.start(id=SAGA, idempotency_key="cart-1") for _ in range(3)]
        assert await asyncio.gather(*starts) == [older] * 3
        assert world.durable_phase(SAGA) is None


async def test_a_start_that_the_journal_does_not_answer_is_told_and_goes_on() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        with world.journal_away():
            with pytest.raises(NotReadyError, match="idempotency key"):
                await asyncio.wait_for(world.start(id=SAGA), ACCEPTANCE_TIMEOUT_SECONDS + 1)
            with pytest.raises(NotReadyError):
                await asyncio.wait_for(world.start(id=SAGA), ACCEPTANCE_TIMEOUT_SECONDS + 1)
        await world.until_phase(SAGA, "Succeeded")
        assert await world.start(id=SAGA) == SAGA
        assert world.transport.calls == ["action reserve"]


async def test_a_start_that_meets_the_end_of_the_lease_is_not_acknowledged() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        await world.engine("two")
        with world.journal_away(world.first):
            start = asyncio.create_task(world.start(id=SAGA, engine=world.first))
            # Until the other engine has the lease for sure (5 s and a renewal), but a retry (2 s) before the time-out.
            await asyncio.sleep(7.5)
        with pytest.raises(NotReadyError, match="shards"):
            await start
        assert world.durable_phase(SAGA) is None


async def test_an_unknown_definition_names_those_that_exist() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        with pytest.raises(UnknownDefinitionError, match="order"):
            await world.start("ordre")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "order"),
        ({"order": 7}, "order: 7 is not of type"),
        ({"order": "a", "quantity": -1}, "quantity: -1 is less than the minimum"),
        ({"order": "a\0b"}, "NUL"),
        ({"order": "a", "n": 2**70}, "64 bits"),
    ],
)
async def test_input_that_does_not_fit_is_refused_by_field(given: dict[str, object], told: str) -> None:
    schema = {
        "type": "object",
        "required": ["order"],
        "properties": {"order": {"type": "string"}, "quantity": {"type": "integer", "minimum": 1}},
    }
    async with EngineWorld() as world:
        await world.declare("reserve", inputSchema=schema)
        with pytest.raises(InputInvalidError, match=told):
            await world.start(input=given)
        assert world.transport.calls == []


@pytest.mark.parametrize("leaf", [[], "\0"])
async def test_input_that_is_nested_too_deeply_is_refused(leaf: object) -> None:
    deep, deepest = leaf, leaf
    for _ in range(900):
        deep = [deep]
    for _ in range(DEEPEST - 2):
        deepest = {"a": deepest}
    async with EngineWorld() as world:
        await world.declare("reserve")
        with pytest.raises(InputInvalidError, match="nested deeper than"):
            await world.start(input={"a": deep, "wide": [{}] * 100})
        if leaf == []:
            await world.start(input={"a": deepest, "wide": [{}] * 100})


async def test_the_inputs_in_memory_are_bounded_by_their_bytes() -> None:
    async with EngineWorld(max_input_bytes=250) as world:
        await world.declare("reserve")
        world.transport.hold("action reserve")
        large = {"text": "x" * 90}
        first = await world.start(input=large)
        await world.start(input=large)
        with pytest.raises(OverloadedError, match="250"):
            await world.start(input=large)
        await world.start(input={})
        world.transport.release("action reserve")
        await world.until_phase(first, "Succeeded")
        await until(lambda: tenure_of(world.first).sagas.weight == 0, "memory to be empty")
        await world.start(input={"text": "x" * 1000})  # a saga alone is never too large


async def test_as_many_sagas_as_agreed_are_in_flight_and_parked_ones_do_not_count() -> None:
    async with EngineWorld() as world:
        engine = await world.engine("small", max_in_flight=2)
        await world.declare("reserve")
        await engine.declarations.load()
        await until(lambda: engine.tenure and engine.tenure.held.shards, "the engine to own shards")
        world.transport.hold("action reserve")
        await world.start(engine=engine)
        held = await world.start(engine=engine)
        with pytest.raises(OverloadedError, match="2 sagas"):
            await world.start(engine=engine)
        await engine.sagas.ask(held, "suspend")
        await until(lambda: tenure_of(engine).sagas.busy == 1, "the suspended saga not to count")
        await world.start(engine=engine)
        world.transport.release("action reserve")


async def test_a_saga_born_cancelled_calls_nobody() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        saga = await world.start(cancel=True)
        await world.until_phase(saga, "Compensated")
        assert world.transport.calls == []


async def test_a_saga_born_suspended_waits_until_it_is_resumed() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        saga = await world.start(suspend=True)
        await asyncio.sleep(60)
        assert ((await world.view(saga)).phase, world.transport.calls) == ("Suspended", [])
        await world.first.sagas.ask(saga, "resume")
        await world.until_phase(saga, "Succeeded")


@pytest.mark.parametrize("ended", [False, True])
async def test_an_id_that_is_given_again_must_ask_for_the_same_again(ended: bool) -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        await world.declare("reserve", name="other")
        world.transport.hold("action reserve")
        await world.start(id=SAGA, input={"a": 1})
        if ended:
            world.transport.release("action reserve")
            await world.until_phase(SAGA, "Succeeded")
        assert await world.start(id=SAGA, input={"a": 1}, suspend=True) == SAGA
        with pytest.raises(IdReusedError, match=SAGA):
            await world.start(id=SAGA, input={"a": 2})
        with pytest.raises(IdReusedError, match="order"):
            await world.start("other", id=SAGA, input={"a": 1})
        if not ended:
            world.transport.release("action reserve")


async def test_a_saga_that_cannot_be_read_is_listed_as_such_among_the_others() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        spoilt = await world.start()
        await world.until_phase(spoilt, "Succeeded")
        world.spoil(spoilt)
        other = await world.start()
        await world.until_phase(other, "Succeeded")
        listed = {shown.id: shown for shown in await world.first.sagas.page(SagaFilter())}
        assert listed[other].reason is None
        assert (listed[spoilt].phase, listed[spoilt].reason) == ("Succeeded", "Unreadable")
