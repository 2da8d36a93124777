"""The barrier when calls overlap, and when a connection dies at the worst moment."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from kompensa_dev.postgres import PostgresServer
from kompensa_participant.faults import Fault
from tests.integration.conftest_participants import Participant
from tests.integration.test_kit_barrier import GRANT, balance
from tests.support.waiting import until


class Held:
    """Holds the README's `change` after its write and before its commit, once."""

    def __init__(self, module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written = asyncio.Event()
        self.go_on = asyncio.Event()
        self.backend = 0
        self._original = module.change
        self._first = True
        monkeypatch.setattr(module, "change", self._change)

    async def _change(self, tx: psycopg.AsyncConnection[Any], *arguments: Any) -> Any:
        reply = await self._original(tx, *arguments)
        if self._first:
            self._first = False
            self.backend = tx.info.backend_pid
            self.written.set()
            await asyncio.wait_for(self.go_on.wait(), timeout=20)
        return reply


@pytest.fixture
def held(points_module: Any, monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(points_module, monkeypatch)


async def until_waiting(points: Participant, count: int = 1) -> None:
    """Wait until `count` sessions of the service wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"

    async def are_waiting() -> bool:
        return bool(await asyncio.to_thread(points.value, query) >= count)

    await until(are_waiting, f"{count} sessions to wait for a lock")


async def test_concurrent_duplicates_have_one_effect(points: Participant) -> None:
    saga = points.saga()
    replies = await asyncio.gather(*(saga.action("/grants", GRANT) for _ in range(20)))
    assert {reply.status_code for reply in replies} == {201}
    assert sum("idempotent-replay" not in reply.headers for reply in replies) == 1
    assert balance(points) == 10


async def test_a_duplicate_waits_for_the_call_in_flight_and_gets_its_reply(points: Participant, held: Held) -> None:
    saga = points.saga()
    first = asyncio.create_task(saga.action("/grants", GRANT))
    await held.written.wait()
    second = asyncio.create_task(saga.action("/grants", GRANT))
    await until_waiting(points)
    held.go_on.set()
    assert (await first).json() == (await second).json()
    assert (await second).headers["idempotent-replay"] == "true"
    assert balance(points) == 10


async def test_a_compensation_waits_for_the_action_in_flight_and_undoes_it(points: Participant, held: Held) -> None:
    saga = points.saga()
    action = asyncio.create_task(saga.action("/grants", GRANT))
    await held.written.wait()
    compensation = asyncio.create_task(saga.compensation("/grants/revoke"))
    await until_waiting(points)
    held.go_on.set()
    assert (await action).status_code == 201
    assert (await compensation).json() == {"customerId": GRANT["customerId"], "points": -10}
    assert balance(points) == 0


async def test_an_action_overtaken_by_its_compensation_is_refused(
    points: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, overtaken = asyncio.Event(), asyncio.Event()

    async def linger(fault: Fault) -> None:
        if fault.kind == "delay":
            arrived.set()
            await asyncio.wait_for(overtaken.wait(), timeout=20)

    monkeypatch.setattr(Fault, "before_barrier", linger)
    saga = points.saga()
    action = asyncio.create_task(saga.action("/grants", GRANT, Kompensa_Fault="delay"))
    await arrived.wait()
    assert (await saga.compensation("/grants/revoke")).json()["compensated"] is False
    overtaken.set()
    assert (await action).json()["type"] == "urn:kompensa:problem:operation-cancelled"
    assert balance(points) == 0


async def test_racing_pairs_never_end_with_an_effect(points: Participant) -> None:
    async def pair() -> None:
        saga = points.saga()
        await asyncio.gather(saga.action("/grants", GRANT), saga.compensation("/grants/revoke"))

    for _ in range(10):
        await asyncio.gather(*(pair() for _ in range(4)))
    assert balance(points) == 0


async def test_a_connection_killed_between_write_and_commit_leaves_nothing(
    points: Participant, held: Held, postgres: PostgresServer
) -> None:
    saga = points.saga()
    call = asyncio.create_task(saga.action("/grants", GRANT))
    await held.written.wait()
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (held.backend,))
    held.go_on.set()
    cut = await call
    assert (cut.status_code, cut.headers["retry-after"]) == (503, "1")
    assert points.rows("SELECT * FROM points.balances") == []
    assert (await saga.probe("action"))["state"] == "Absent"
    again = await saga.action("/grants", GRANT, Saga_Attempt="2")
    assert (again.status_code, balance(points)) == (201, 10)


async def test_a_cut_off_action_leaves_room_for_a_tombstone(
    points: Participant, held: Held, postgres: PostgresServer
) -> None:
    saga = points.saga()
    call = asyncio.create_task(saga.action("/grants", GRANT))
    await held.written.wait()
    compensation = asyncio.create_task(saga.compensation("/grants/revoke"))
    await until_waiting(points)
    with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (held.backend,))
    held.go_on.set()
    assert (await call).status_code == 503
    assert (await compensation).json()["compensated"] is False
    assert (await saga.action("/grants", GRANT)).status_code == 409
    assert balance(points) == 0
