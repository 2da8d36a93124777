"""A saga takes 409 and 422 for "nothing was kept" and undoes no such step: so every one of them has to stay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from kompensa_participant import Problem, barrier
from tests.integration.conftest_participants import Participant, SagaCall
from tests.integration.test_kit_barrier import ANA, GRANT, balance

BEN = {"customerId": "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0002", "points": 10}
CONSTRAINTS = {
    "unique": "UNIQUE (points)",
    "unique, deferred": "UNIQUE (points) DEFERRABLE INITIALLY DEFERRED",
    "exclusion": "EXCLUDE USING btree (points WITH =)",
    "exclusion, deferred": "EXCLUDE USING btree (points WITH =) DEFERRABLE INITIALLY DEFERRED",
}
Change = Callable[..., Awaitable[Any]]


def constrain(points: Participant, constraint: str) -> None:
    """Have no two customers the same balance."""
    with psycopg.connect(points.login.url) as connection:
        connection.execute(f"ALTER TABLE points.balances ADD CONSTRAINT one_each {constraint}".encode())


async def assert_refused(points: Participant, saga: SagaCall, status: int, slug: str) -> None:
    """The first attempt: its answer is kept, its change is not."""
    before = balance(points)
    first = await saga.action("/grants", GRANT)
    assert (first.status_code, first.headers["content-type"]) == (status, "application/problem+json")
    assert first.json()["type"] == f"urn:kompensa:problem:{slug}"
    assert ((await saga.probe("action"))["state"], balance(points)) == ("Failed", before)


async def assert_stays_refused(points: Participant, saga: SagaCall, status: int) -> None:
    """A late attempt, although nothing would hinder it now; and nothing is to be undone."""
    late = await saga.action("/grants", GRANT)
    assert (late.status_code, late.headers["idempotent-replay"]) == (status, "true")
    assert (await saga.compensation("/grants/revoke")).json()["compensated"] is False
    assert points.rows("SELECT * FROM points.balances WHERE customer_id = %s", ANA) == []


@pytest.mark.parametrize("constraint", CONSTRAINTS)
async def test_a_broken_constraint_stays_a_refusal_when_nothing_breaks_it_any_more(
    points: Participant, constraint: str
) -> None:
    constrain(points, CONSTRAINTS[constraint])
    first, saga = points.saga(), points.saga()
    await first.action("/grants", BEN)
    await assert_refused(points, saga, 409, "constraint-broken")
    await first.compensation("/grants/revoke")
    await assert_stays_refused(points, saga, 409)


@pytest.mark.parametrize(
    ("broken", "status", "slug"),
    [
        (Problem(409, "not-today", "ask tomorrow"), 409, "not-today"),
        (Problem(422, "not-so", "ask otherwise"), 422, "not-so"),
        ("INSERT INTO balances VALUES (gen_random_uuid(), 2147483647 + 1)", 422, "request-invalid"),
        ("INSERT INTO balances VALUES (gen_random_uuid(), NULL)", 409, "constraint-broken"),
    ],
)
async def test_every_reply_that_a_saga_reads_as_a_refusal_is_kept(
    points: Participant, points_module: Any, monkeypatch: pytest.MonkeyPatch, broken: Any, status: int, slug: str
) -> None:
    change: Change = points_module.change

    async def refused_after_a_write(tx: psycopg.AsyncConnection[Any], *arguments: Any) -> Any:
        await change(tx, *arguments)
        if isinstance(broken, Problem):
            raise broken
        await tx.execute(broken.encode())

    monkeypatch.setattr(points_module, "change", refused_after_a_write)
    saga = points.saga()
    await assert_refused(points, saga, status, slug)
    monkeypatch.setattr(points_module, "change", change)
    await assert_stays_refused(points, saga, status)


async def test_a_reply_that_cannot_be_kept_is_a_refusal_and_nothing_else_is_kept(
    points: Participant, points_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    change: Change = points_module.change

    async def unkept(*arguments: Any) -> Any:
        return await change(*arguments) | {"note": "\0"}

    monkeypatch.setattr(points_module, "change", unkept)
    saga = points.saga()
    await assert_refused(points, saga, 422, "request-invalid")
    monkeypatch.setattr(points_module, "change", change)
    await assert_stays_refused(points, saga, 422)


async def test_a_compensation_that_comes_between_a_broken_commit_and_its_refusal_is_heeded(
    points: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    constrain(points, CONSTRAINTS["unique, deferred"])
    await points.saga().action("/grants", BEN)
    saga, refuse = points.saga(), barrier.refuse

    async def overtaken(*arguments: Any) -> barrier.Stored:
        await saga.compensation("/grants/revoke")
        return await refuse(*arguments)

    monkeypatch.setattr(barrier, "refuse", overtaken)
    late = await saga.action("/grants", GRANT)
    assert (late.status_code, late.json()["type"]) == (409, "urn:kompensa:problem:operation-cancelled")
    assert (await saga.probe("action"))["state"] == "Tombstoned"
