"""Whether the fault switch listens at all, without a database: where it is off, a header must change nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI

from kompensa_participant import calls, errors, faults

KEY = "0b8a3c5e-0000-4000-8000-000000000001/step"


@asynccontextmanager
async def participant(*, faults_enabled: bool) -> AsyncIterator[httpx.AsyncClient]:
    """Answers with the kind of fault that it would make."""
    app = FastAPI()
    errors.install(app)
    app.state.faults_enabled = faults_enabled

    @app.post("/action")
    async def action(call: Annotated[calls.Call, Depends(calls.read_action)]) -> str:
        return call.fault.kind

    @app.post("/compensation")
    async def compensation(call: Annotated[calls.Call, Depends(calls.read_compensation)]) -> str:
        return call.fault.kind

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        yield client


async def asked(client: httpx.AsyncClient, direction: str, fault: str | None, attempt: str = "1") -> httpx.Response:
    headers = {"Idempotency-Key": f"{KEY}/{direction}", "Saga-Attempt": attempt}
    return await client.post(f"/{direction}", headers=headers | ({"Kompensa-Fault": fault} if fault else {}))


@pytest.mark.parametrize("direction", ["action", "compensation"])
@pytest.mark.parametrize("fault", [*faults.KINDS, "explode", "delay; second=3", ""])
async def test_where_the_switch_is_off_every_fault_is_ignored(direction: str, fault: str) -> None:
    async with participant(faults_enabled=False) as client:
        reply = await asked(client, direction, fault)
    assert (reply.status_code, reply.json()) == (200, "none")


@pytest.mark.parametrize("direction", ["action", "compensation"])
@pytest.mark.parametrize("kind", faults.KINDS)
async def test_where_it_is_on_the_fault_is_the_one_asked_for(direction: str, kind: str) -> None:
    async with participant(faults_enabled=True) as client:
        reply = await asked(client, direction, kind)
    assert (reply.status_code, reply.json()) == (200, kind)


@pytest.mark.parametrize(
    ("fault", "direction", "attempt"),
    [
        (None, "action", "1"),
        ("refuse; attempts=2", "action", "3"),
        ("refuse; direction=action", "compensation", "1"),
    ],
)
async def test_where_it_is_on_a_call_that_is_not_meant_has_none(
    fault: str | None, direction: str, attempt: str
) -> None:
    async with participant(faults_enabled=True) as client:
        assert (await asked(client, direction, fault, attempt)).json() == "none"


async def test_where_it_is_on_a_misspelt_fault_is_refused() -> None:
    async with participant(faults_enabled=True) as client:
        reply = await asked(client, "action", "explode")
    assert (reply.status_code, reply.json()["type"]) == (400, "urn:kompensa:problem:fault-invalid")
