"""The promises of a participant's barrier about calls one after the other. Races are in test_kit_races."""

from __future__ import annotations

import uuid

import pytest

from tests.integration.conftest_participants import Participant

ANA = "7f0b1f2e-4c63-4a0e-8f0a-3d3f8f3f0001"
SAGA = "0b8a3c5e-0000-4000-8000-000000000001"
GRANT = {"customerId": ANA, "points": 10}
TOO_MUCH = {"customerId": ANA, "points": 1001}


def balance(points: Participant) -> int:
    found: int = points.value("SELECT coalesce(sum(points), 0) FROM points.balances")
    return found


async def test_a_repeated_action_has_one_effect_and_the_stored_reply(points: Participant) -> None:
    saga = points.saga()
    first = await saga.action("/grants", GRANT)
    second = await saga.action("/grants", GRANT, Saga_Attempt="2")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json() == GRANT
    assert "idempotent-replay" not in first.headers
    assert second.headers["idempotent-replay"] == "true"
    assert balance(points) == 10


async def test_two_sagas_and_two_steps_are_different_operations(points: Participant) -> None:
    saga = points.saga("one")
    await saga.action("/grants", GRANT)
    await points.saga("one").action("/grants", GRANT)
    other_step = points.saga("two")
    await other_step.action("/grants", GRANT)
    assert balance(points) == 30


async def test_a_repeated_compensation_undoes_once(points: Participant) -> None:
    saga = points.saga()
    await saga.action("/grants", GRANT)
    replies = [await saga.compensation("/grants/revoke") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    assert [reply.headers.get("idempotent-replay") for reply in replies] == [None, "true", "true"]
    assert balance(points) == 0


async def test_the_same_key_with_another_body_is_refused_and_changes_nothing(points: Participant) -> None:
    saga = points.saga()
    await saga.action("/grants", GRANT)
    other = await saga.action("/grants", {**GRANT, "points": 11})
    assert (other.status_code, other.json()["type"]) == (422, "urn:kompensa:problem:idempotency-key-reused")
    assert (await saga.action("/grants", GRANT)).status_code == 201
    assert balance(points) == 10


async def test_another_spelling_of_the_same_body_is_the_same_request(points: Participant) -> None:
    saga = points.saga()
    await saga.action("/grants", GRANT)
    headers = {"Idempotency-Key": f"{saga.saga_id}/{saga.step}/action", "Content-Type": "application/json"}
    spelt = f'{{ "points":10,\n "customerId": "{ANA}", "sagaId": "{saga.saga_id}" }}'
    again = await points.client.post("/grants", content=spelt, headers=headers)
    assert (again.status_code, again.headers["idempotent-replay"]) == (201, "true")


async def test_a_refusal_keeps_its_answer_and_drops_its_change(points: Participant) -> None:
    saga = points.saga()
    refused = await saga.action("/grants", TOO_MUCH)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert refused.json()["type"] == "urn:kompensa:problem:balance-out-of-bounds"
    assert points.rows("SELECT * FROM points.balances") == []
    again = await saga.action("/grants", TOO_MUCH)
    assert (again.json(), again.headers["idempotent-replay"]) == (refused.json(), "true")


async def test_a_refusal_stays_refused_when_it_would_be_granted_now(points: Participant) -> None:
    full, late = points.saga(), points.saga()
    await full.action("/grants", {**GRANT, "points": 1000})
    assert (await late.action("/grants", GRANT)).status_code == 422
    await full.compensation("/grants/revoke")
    assert (await late.action("/grants", GRANT)).status_code == 422
    assert balance(points) == 0


async def test_compensating_a_refused_action_calls_nothing(points: Participant) -> None:
    saga = points.saga()
    await saga.action("/grants", TOO_MUCH)
    undone = await saga.compensation("/grants/revoke")
    assert (undone.status_code, undone.json()["compensated"]) == (200, False)
    assert points.rows("SELECT * FROM points.balances") == []


async def test_cancel_before_do_succeeds_and_leaves_a_tombstone(points: Participant) -> None:
    saga = points.saga()
    undone = await saga.compensation("/grants/revoke")
    assert (undone.status_code, undone.json()["compensated"]) == (200, False)
    assert (await saga.probe("action"))["state"] == "Tombstoned"


async def test_an_action_after_its_tombstone_is_refused_every_time(points: Participant) -> None:
    saga = points.saga()
    await saga.compensation("/grants/revoke")
    for _ in range(2):
        late = await saga.action("/grants", GRANT)
        assert (late.status_code, late.json()["type"]) == (409, "urn:kompensa:problem:operation-cancelled")
    assert points.rows("SELECT * FROM points.balances") == []


async def test_a_late_repetition_after_the_compensation_has_no_effect(points: Participant) -> None:
    saga = points.saga()
    await saga.action("/grants", GRANT)
    await saga.compensation("/grants/revoke")
    late = await saga.action("/grants", GRANT)
    assert (late.status_code, late.headers["idempotent-replay"]) == (201, "true")
    assert balance(points) == 0


async def test_a_refused_compensation_is_not_kept_and_succeeds_later(points: Participant) -> None:
    saga = points.saga()
    await saga.action("/grants", {**GRANT, "points": 100})
    spent = points.saga()
    await spent.action("/grants", {**GRANT, "points": -60})
    refused = await saga.compensation("/grants/revoke")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:kompensa:problem:balance-out-of-bounds")
    assert balance(points) == 40
    await spent.compensation("/grants/revoke")
    assert (await saga.compensation("/grants/revoke")).status_code == 200
    assert balance(points) == 0


async def test_the_probe_shows_the_outcome_of_each_operation(points: Participant) -> None:
    saga = points.saga()
    assert (await saga.probe("action"))["state"] == "Absent"
    await saga.action("/grants", GRANT)
    assert await saga.probe("action") == {
        "key": f"{saga.saga_id}/a-step/action",
        "state": "Succeeded",
        "status": 201,
        "reply": GRANT,
    }
    refused = points.saga()
    await refused.action("/grants", TOO_MUCH)
    told = await refused.probe("action")
    assert (told["state"], told["status"]) == ("Failed", 422)
    assert (await saga.probe("compensation"))["state"] == "Absent"


@pytest.mark.parametrize(
    "key",
    ["", "x", "not-a-uuid/step/action", f"{SAGA}/step/compensation", f"{SAGA}//action"],
)
async def test_an_invalid_key_is_rejected_by_name(points: Participant, key: str) -> None:
    reply = await points.client.post("/grants", json=GRANT | {"sagaId": ANA}, headers={"Idempotency-Key": key})
    assert (reply.status_code, reply.json()["type"]) == (400, "urn:kompensa:problem:idempotency-key-invalid")
    assert "<saga id>/<step>/action" in reply.json()["detail"]


async def test_a_call_without_a_key_is_refused(points: Participant) -> None:
    reply = await points.client.post("/grants", json=GRANT | {"sagaId": ANA})
    assert (reply.status_code, reply.json()["type"]) == (400, "urn:kompensa:problem:idempotency-key-missing")


async def test_a_body_that_names_another_saga_than_the_key_is_refused(points: Participant) -> None:
    reply = await points.saga().action("/grants", {**GRANT, "sagaId": str(uuid.uuid4())})
    assert (reply.status_code, reply.json()["type"]) == (422, "urn:kompensa:problem:saga-id-mismatch")
    assert points.rows("SELECT * FROM points.operations") == []
