"""The log lines of a saga's begin and end (S80)."""

from collections.abc import Mapping, MutableMapping
from typing import Any

from structlog.testing import capture_logs

from tests.support.engine_world import EngineWorld
from tests.support.scripted_transport import REFUSED, WRONG

CUSTOMER = "c-1"
FIELDS = {"customerId": "${input.customerId}", "name": "${saga.name}", "items": "${input.items}"}
INPUT = {"customerId": CUSTOMER, "items": ["personal"]}
SCHEMA = {"type": "object", "properties": {"customerId": {"type": "string"}, "items": {"type": "array"}}}


async def declare(world: EngineWorld, *steps: str) -> None:
    await world.declare(*steps, inputSchema=SCHEMA, logFields=FIELDS)


def lines(logged: list[MutableMapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in logged if line["event"].startswith("saga ")]


async def test_begin_and_end_are_logged_with_the_fields_of_the_definition() -> None:
    async with EngineWorld() as world:
        await declare(world, "reserve", "pay")
        with capture_logs() as logged:
            saga = await world.start(input=INPUT, name="order-1")
            await world.until_phase(saga, "Succeeded")
    same = {"saga": saga, "definition": "order", "namespace": "shop", "log_level": "info"}
    fields = {"customerId": CUSTOMER, "name": "order-1"}
    assert lines(logged) == [
        {"event": "saga started", "fields": fields, **same},
        {"event": "saga succeeded", "fields": fields, **same},
    ]


async def test_the_end_of_a_saga_without_its_effect_is_a_warning_with_the_cause() -> None:
    async with EngineWorld() as world:
        await declare(world, "reserve", "pay")
        world.transport.answer("action pay", REFUSED)
        with capture_logs() as logged:
            view = await world.until_phase(await world.start(input=INPUT), "Compensated")
    (_, end) = lines(logged)
    assert (end["event"], end["log_level"]) == ("saga compensated", "warning")
    assert (end["reason"], end["message"]) == (view.reason, view.message)
    assert end["fields"]["customerId"] == CUSTOMER


async def test_a_saga_that_waits_for_a_person_has_not_ended() -> None:
    async with EngineWorld() as world:
        await declare(world, "reserve")
        world.transport.answer("action reserve", WRONG)
        with capture_logs() as logged:
            await world.until_phase(await world.start(input=INPUT), "InterventionRequired")
    assert [line["event"] for line in lines(logged)] == ["saga started"]


async def test_a_request_that_is_repeated_begins_nothing() -> None:
    async with EngineWorld() as world:
        await declare(world, "reserve")
        with capture_logs() as logged:
            first = await world.start(input=INPUT, idempotency_key="k")
            await world.until_phase(first, "Succeeded")
            assert await world.start(input=INPUT, idempotency_key="k") == first
    assert [line["event"] for line in lines(logged)] == ["saga started", "saga succeeded"]


async def test_without_fields_nothing_is_logged() -> None:
    async with EngineWorld() as world:
        await world.declare("reserve")
        with capture_logs() as logged:
            await world.until_phase(await world.start(), "Succeeded")
    assert lines(logged) == []
