"""The barrier's guards, each taken out in turn: the scenario that needs it must then end wrong.

If no test notices that a guard is missing, the guard is either not tested or not needed. Each test runs its scenario
twice, with the guard and without, so that it also fails if the scenario itself no longer reaches the guard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from kompensa_participant import barrier, calls
from tests.integration.conftest_participants import Participant
from tests.integration.test_kit_barrier import GRANT, TOO_MUCH, balance

Scenario = Callable[[Participant], Awaitable[object]]
Connection = psycopg.AsyncConnection[Any]


async def sequential_duplicates(points: Participant) -> int:
    before, saga = balance(points), points.saga()
    await saga.action("/grants", GRANT)
    await saga.action("/grants", GRANT)
    return balance(points) - before


async def concurrent_duplicates(points: Participant) -> int:
    before, saga = balance(points), points.saga()
    await asyncio.gather(*(saga.action("/grants", GRANT) for _ in range(5)))
    return balance(points) - before


async def repeated_compensations(points: Participant) -> int:
    before, saga = balance(points), points.saga()
    await points.saga().action("/grants", GRANT)
    await saga.action("/grants", GRANT)
    await saga.compensation("/grants/revoke")
    await saga.compensation("/grants/revoke")
    return balance(points) - before


async def late_action(points: Participant) -> int:
    before, saga = balance(points), points.saga()
    await saga.compensation("/grants/revoke")
    await saga.action("/grants", GRANT)
    return balance(points) - before


async def refusal_after_a_write(points: Participant) -> int:
    before = balance(points)
    await points.saga().action("/grants", TOO_MUCH)
    return balance(points) - before


async def refusal_that_would_be_granted_later(points: Participant) -> int:
    full, late = points.saga(), points.saga()
    await full.action("/grants", {**GRANT, "points": 1000 - balance(points)})
    await late.action("/grants", GRANT)
    await full.compensation("/grants/revoke")
    return (await late.action("/grants", GRANT)).status_code


async def key_used_twice(points: Participant) -> int:
    saga = points.saga()
    await saga.action("/grants", GRANT)
    return (await saga.action("/grants", {**GRANT, "points": 7})).status_code


async def claims_without_looking(connection: Connection, operation: barrier.Operation) -> bool:
    """Mutant: the claim does not check whether the key has been seen."""
    await connection.execute(
        "INSERT INTO operations (saga_id, step, direction, state, fingerprint) VALUES (%s, %s, %s, 'Running', '')"
        " ON CONFLICT DO NOTHING",
        (operation.saga_id, operation.step, operation.direction),
    )
    return True


async def looks_and_then_claims(connection: Connection, operation: barrier.Operation) -> bool:
    """Mutant: read, then write, without waiting for a call in flight (the classical race)."""
    seen = await barrier.look_up(connection, operation.saga_id, operation.step, operation.direction)
    await asyncio.sleep(0.05)
    return seen is None and await claims_without_looking(connection, operation)


async def leaves_no_tombstone(connection: Connection, operation: barrier.Operation) -> bool:
    """Mutant: an empty compensation succeeds and leaves no trace in the action's place."""
    return await barrier.look_up(connection, operation.saga_id, operation.step, "action") is None


async def without_savepoint(connection: Connection, work: barrier.Work) -> barrier.Reply:
    """Mutant: a refusal is kept together with the rows that were written before it."""
    return await work(connection)


def refusals_are_not_kept(error: Exception) -> None:
    """Mutant: a refusal rolls back everything, its answer too."""


def every_request_looks_the_same(method: str, path: str, body: object) -> str:
    """Mutant: the key alone decides, whatever is sent under it."""
    return f"{method}{path}{body is None}"


MUTANTS = [
    pytest.param(barrier, "_claim", claims_without_looking, sequential_duplicates, 10, 20, id="dedup"),
    pytest.param(barrier, "_claim", claims_without_looking, repeated_compensations, 10, 0, id="dedup-of-undo"),
    pytest.param(barrier, "_claim", looks_and_then_claims, concurrent_duplicates, 10, 50, id="unique-row"),
    pytest.param(barrier, "_leave_tombstone", leaves_no_tombstone, late_action, 0, 10, id="tombstone"),
    pytest.param(barrier, "_in_savepoint", without_savepoint, refusal_after_a_write, 0, 1001, id="savepoint"),
    pytest.param(
        barrier, "refusal_of", refusals_are_not_kept, refusal_that_would_be_granted_later, 422, 201, id="kept-no"
    ),
    pytest.param(calls, "fingerprint_of", every_request_looks_the_same, key_used_twice, 422, 201, id="fingerprint"),
]


@pytest.mark.parametrize(("module", "guard", "mutant", "scenario", "right", "wrong"), MUTANTS)
async def test_without_its_guard_the_scenario_ends_wrong(
    points: Participant,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    guard: str,
    mutant: Any,
    scenario: Scenario,
    right: object,
    wrong: object,
) -> None:
    assert await scenario(points) == right
    monkeypatch.setattr(module, guard, mutant)
    assert await scenario(points) == wrong
