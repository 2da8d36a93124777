"""The kit around a service's endpoints: errors as problems, bounds, the fault switch, readiness."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from kompensa_dev.postgres import Login, PostgresServer
from kompensa_participant import body_limit
from kompensa_participant.migrations import migrate
from kompensa_participant.settings import Settings
from tests.integration.conftest_participants import Participant
from tests.integration.test_kit_barrier import GRANT, balance


def problem(reply: httpx.Response) -> tuple[int, str]:
    """Status and slug; every error must be a whole problem."""
    body = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert body["status"] == reply.status_code
    assert body["detail"]
    assert body["title"]
    return reply.status_code, body["type"].removeprefix("urn:kompensa:problem:")


async def test_every_error_is_a_problem(points: Participant) -> None:
    client, saga = points.client, points.saga()
    assert problem(await client.get("/nowhere")) == (404, "not-found")
    assert problem(await client.delete("/grants")) == (405, "method-not-allowed")
    assert problem(await saga.action("/grants", {"customerId": "ana", "points": 1})) == (422, "request-invalid")
    assert problem(await client.get("/operations/not-a-uuid/step/action")) == (422, "request-invalid")


async def test_a_body_that_does_not_fit_names_its_fields(points: Participant) -> None:
    reply = await points.saga().action("/grants", {"customerId": "ana"})
    assert [error["field"] for error in reply.json()["errors"]] == ["customerId", "points"]
    assert "customerId" in reply.json()["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"sagaId": 1, "points": NaN}']
)
async def test_a_body_that_is_not_a_request_is_rejected_and_not_kept(points: Participant, body: bytes) -> None:
    saga = points.saga()
    headers = {"Idempotency-Key": f"{saga.saga_id}/{saga.step}/action", "Content-Type": "application/json"}
    reply = await points.client.post("/grants", content=body, headers=headers)
    assert problem(reply)[0] == 422
    assert (await saga.probe("action"))["state"] == "Absent"


async def test_a_body_without_the_json_content_type_is_415_and_not_kept(points: Participant) -> None:
    saga = points.saga()
    headers = {"Idempotency-Key": f"{saga.saga_id}/{saga.step}/action", "Content-Type": "text/plain"}
    reply = await points.client.post("/grants", content=b'{"customerId": "ana"}', headers=headers)
    assert problem(reply) == (415, "unsupported-media-type")
    assert "application/json" in reply.json()["detail"]
    assert (await saga.probe("action"))["state"] == "Absent"


async def test_an_attempt_number_of_any_length_is_accepted(points: Participant) -> None:
    reply = await points.saga().action("/grants", GRANT, Saga_Attempt="9" * 5000, Kompensa_Fault="delay; attempts=0")
    assert reply.status_code == 201


async def test_a_probe_of_neither_direction_is_refused(points: Participant) -> None:
    saga = points.saga()
    reply = await points.client.get(f"/operations/{saga.saga_id}/{saga.step}/actoin")
    assert problem(reply) == (422, "request-invalid")
    assert "direction" in reply.json()["detail"]


async def test_a_body_over_the_limit_is_refused_while_it_is_read(points: Participant) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * body_limit.BODY_LIMIT:
            sent += 65_536
            yield b" " * 65_536

    reply = await points.client.post("/grants", content=endless())
    assert problem(reply) == (413, "body-too-large")
    assert sent <= body_limit.BODY_LIMIT + 2 * 65_536


async def test_a_declared_length_over_the_limit_is_refused_unread(points: Participant) -> None:
    reply = await points.client.post("/grants", headers={"Content-Length": str(2**30)})
    assert problem(reply) == (413, "body-too-large")


async def test_a_body_that_never_ends_is_given_up(points: Participant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "BODY_SECONDS", 0.05)
    never = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield b"{"
        await never.wait()

    assert problem(await points.client.post("/grants", content=stuck())) == (408, "request-timeout")


async def test_a_value_the_database_cannot_hold_is_a_refusal(points: Participant) -> None:
    assert problem(await points.saga().action("/grants", {**GRANT, "points": 2**40})) == (422, "request-invalid")


async def test_an_unforeseen_error_shows_nothing_and_keeps_nothing(
    points: Participant, points_module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(tx: psycopg.AsyncConnection[Any], *_: object) -> None:
        await tx.execute("INSERT INTO balances VALUES (gen_random_uuid(), 5)")
        raise RuntimeError("a secret")

    monkeypatch.setattr(points_module, "change", broken)
    reply = await points.saga().action("/grants", GRANT)
    assert problem(reply) == (500, "internal-error")
    assert "secret" not in reply.text
    assert points.rows("SELECT * FROM points.balances") == []


async def test_the_fault_switch_fails_before_and_after_the_commit(points: Participant) -> None:
    before, after = points.saga(), points.saga()
    lost = await before.action("/grants", GRANT, Kompensa_Fault="fail-before-commit; status=500")
    assert problem(lost) == (500, "injected-fault")
    assert (balance(points), (await before.probe("action"))["state"]) == (0, "Absent")
    lost = await after.action("/grants", GRANT, Kompensa_Fault="fail-after-commit; status=503")
    assert problem(lost) == (503, "injected-fault")
    assert (balance(points), (await after.probe("action"))["state"]) == (10, "Succeeded")
    assert (await after.action("/grants", GRANT)).headers["idempotent-replay"] == "true"


async def test_the_fault_switch_refuses_as_the_business_would(points: Participant) -> None:
    saga = points.saga()
    assert problem(await saga.action("/grants", GRANT, Kompensa_Fault="refuse; status=409"))[0] == 409
    assert (await saga.action("/grants", GRANT)).headers["idempotent-replay"] == "true"


async def test_a_fault_can_be_limited_to_attempts_and_to_a_direction(points: Participant) -> None:
    saga, fault = points.saga(), "fail-before-commit; attempts=2; direction=action"
    statuses = [
        (await saga.action("/grants", GRANT, Kompensa_Fault=fault, Saga_Attempt=str(attempt))).status_code
        for attempt in (1, 2, 3)
    ]
    assert statuses == [500, 500, 201]
    assert (await saga.compensation("/grants/revoke", Kompensa_Fault=fault)).status_code == 200


@pytest.mark.parametrize("fault", ["explode", "delay; second=3", "delay; seconds=soon", "refuse; status=200"])
async def test_a_misspelt_fault_is_refused_by_name(points: Participant, fault: str) -> None:
    assert problem(await points.saga().action("/grants", GRANT, Kompensa_Fault=fault)) == (400, "fault-invalid")


async def test_faults_are_ignored_if_the_switch_is_off(points: Participant, points_module: Any) -> None:
    app = points_module.service.app(Settings(database_url=points.login.url))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://off") as client,
    ):
        saga = Participant(client=client, login=points.login).saga()
        assert (await saga.action("/grants", GRANT, Kompensa_Fault="fail-before-commit")).status_code == 201


async def test_a_database_that_is_down_is_503_and_used_again_once_it_is_back(
    points: Participant, postgres: PostgresServer
) -> None:
    saga = points.saga()
    await saga.action("/grants", GRANT)
    postgres.kill()
    try:
        down = await points.saga().action("/grants", GRANT)
        assert problem(down) == (503, "database-unavailable")
        assert down.headers["retry-after"] == "1"
        assert problem(await points.client.get("/readyz")) == (503, "not-ready")
        assert (await points.client.get("/healthz")).status_code == 200
    finally:
        postgres.start()
    async with asyncio.timeout(30):
        while (await points.client.get("/readyz")).status_code != 200:
            pass
    assert (await saga.action("/grants", GRANT)).headers["idempotent-replay"] == "true"


async def test_readiness_needs_the_migrations_and_bears_with_newer_ones(database: Login, points_module: Any) -> None:
    app = points_module.service.app(Settings(database_url=database.url))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        unmigrated = await client.get("/readyz")
        assert problem(unmigrated) == (503, "not-ready")
        assert "run migrate" in unmigrated.json()["detail"]
        migrate("points", url=database.url, schema="points")
        assert (await client.get("/readyz")).json() == {"status": "ready", "schema": "0001"}
        with psycopg.connect(database.url) as connection:
            connection.execute("UPDATE points.alembic_version SET version_num = '0002'")
        assert (await client.get("/readyz")).status_code == 200


async def test_metrics_count_requests_and_operations_by_route(points: Participant) -> None:
    saga = points.saga()
    await saga.action("/grants", GRANT)
    await saga.action("/grants", GRANT)
    await points.client.get(f"/stray/{uuid.uuid4()}")
    text = (await points.client.get("/metrics")).text
    assert 'kompensa_operations_total{path="/grants",replayed="true",state="Succeeded"}' in text
    assert 'http_requests_total{method="POST",path="/grants",status="201"}' in text
    assert 'path="unmatched"' in text
    assert "stray" not in text
    assert "database_pool_connections" in text


async def test_the_description_has_the_key_and_the_problem(points: Participant) -> None:
    described = (await points.client.get("/openapi.json")).json()
    grant = described["paths"]["/grants"]["post"]
    assert "Idempotency-Key" in {parameter["name"] for parameter in grant["parameters"]}
    assert "application/problem+json" in grant["responses"]["default"]["content"]
    assert "HTTPValidationError" not in described["components"]["schemas"]
