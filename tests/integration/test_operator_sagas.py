"""Saga objects on a real API server, run by a real engine: what a user sees with kubectl."""

import pytest

from kompensa.cluster.kube import RefusedError
from kompensa.cluster.resources import DEFINITIONS, SAGAS
from tests.integration.apiserver import ApiServer
from tests.integration.operator_scene import Scene, conditions, definition_spec
from tests.support.waiting import until


async def test_a_saga_ends_succeeded_and_costs_one_write_in_addition_to_its_creation(
    scene: Scene, apiserver: ApiServer
) -> None:
    await scene.definition()
    await scene.saga("order-1")
    status = await scene.until_phase("order-1", "Succeeded")
    assert scene.participant.calls == ["reserve", "pay"]
    assert conditions(status)["Ready"]["status"] == "True"
    assert status["observedGeneration"] == 1
    assert [write["verb"] for write in writes(apiserver, scene, "order-1")] == ["create", "patch"]


async def test_a_refused_step_is_undone_and_shown_in_status_and_event(scene: Scene, apiserver: ApiServer) -> None:
    await scene.definition()
    scene.participant.replies["pay"] = (422, {"type": "urn:test:problem:payment-declined", "detail": "no funds"})
    await scene.saga("order-1")
    status = await scene.until_phase("order-1", "Compensated")
    assert status["reason"] == "PaymentDeclined"
    assert "no funds" in status["message"]
    assert conditions(status)["Compensated"]["status"] == "True"
    assert scene.participant.calls == ["reserve", "pay", "reserve/undo"]
    assert len(writes(apiserver, scene, "order-1")) == 2
    await scene.until_event(apiserver, "Compensated")


async def test_the_spec_of_a_saga_cannot_be_edited(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("reserve")
    await scene.saga("order-1")
    for change in ({"input": {"order": "another"}}, {"definitionRef": {"name": "other"}}, {"idempotencyKey": "k"}):
        with pytest.raises(RefusedError, match="cannot be changed"):
            await scene.edit("order-1", **change)
    scene.participant.release("reserve")
    await scene.until_phase("order-1", "Succeeded")


async def test_a_saga_deleted_in_mid_flight_is_compensated(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    saga = await scene.saga("order-1")
    await scene.until_called("pay")
    await scene.delete(SAGAS, "order-1")
    await scene.until_noted(saga, "CancelAsked")
    scene.participant.release("pay")
    await scene.until_called("reserve/undo")
    assert scene.participant.calls == ["reserve", "pay", "pay/undo", "reserve/undo"]


async def test_an_orphaned_saga_runs_on(scene: Scene) -> None:
    await scene.definition(steps=("reserve", "pay", "ship"))
    scene.participant.hold("pay")
    await scene.saga("order-1", deletionPolicy="Orphan")
    await scene.until_called("pay")
    settled = await scene.settled()
    await scene.delete(SAGAS, "order-1")
    await scene.until_more(scene.settled, settled, "the operator to report the deleted Saga to the engine")
    scene.participant.release("pay")
    await scene.until_called("ship")
    assert scene.participant.calls == ["reserve", "pay", "ship"]


async def test_a_saga_recreated_under_the_same_name_gets_its_own_status(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("reserve")
    old = await scene.saga("order-1")
    await scene.until_called("reserve")
    await scene.delete(SAGAS, "order-1")
    await scene.until_noted(old, "CancelAsked")
    new = await scene.saga("order-1", input={"order": "second"}, suspend=True)
    await scene.until_called("reserve")
    scene.participant.release("reserve")
    await scene.until_called("reserve/undo")
    assert old["metadata"]["uid"] != new["metadata"]["uid"]
    assert (await scene.status("order-1")).get("phase") in (None, "Suspended")
    await scene.edit("order-1", suspend=False)
    await scene.until_phase("order-1", "Succeeded")


async def test_a_saga_waits_for_its_definition_and_then_runs(scene: Scene) -> None:
    await scene.definition("other")
    await scene.saga("order-1", definition="order")
    status = await scene.until_phase("order-1", "Pending")
    assert status["reason"] == "DefinitionNotFound"
    assert "other" in status["message"]
    assert conditions(status)["Stalled"]["status"] == "True"
    await scene.definition("order")
    status = await scene.until_phase("order-1", "Succeeded")
    assert conditions(status)["Stalled"]["status"] == "False"
    assert "message" not in status or "other" not in status["message"]


async def test_an_input_that_does_not_fit_ends_the_saga_with_the_reason(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("order-1", input={"order": "o", "quantity": -1})
    status = await scene.until_phase("order-1", "Terminated")
    assert status["reason"] == "InputInvalid"
    assert "quantity" in status["message"]
    assert status["completionTime"]
    assert scene.participant.calls == []


@pytest.mark.parametrize(("size", "reason"), [(300 << 10, "InputTooLarge"), (1 << 20, "BodyTooLarge")])
async def test_an_input_that_is_too_large_ends_the_saga_and_is_not_tried_again(
    scene: Scene, size: int, reason: str
) -> None:
    await scene.definition()
    await scene.saga("order-1", input={"order": "x" * size})
    status = await scene.until_phase("order-1", "Terminated")
    assert status["reason"] == reason
    assert "pass a reference" in status["message"]


async def test_an_idempotency_key_with_other_input_is_refused(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("order-1", idempotencyKey="cart-1")
    await scene.until_phase("order-1", "Succeeded")
    await scene.saga("order-2", idempotencyKey="cart-1", input={"order": "another"})
    status = await scene.until_phase("order-2", "Terminated")
    assert status["reason"] == "IdempotencyKeyReused"
    assert scene.participant.calls == ["reserve", "pay"]


async def test_an_idempotency_key_with_the_same_input_shows_the_same_run(scene: Scene) -> None:
    await scene.definition()
    scene.participant.replies["pay"] = (422, {"type": "urn:test:problem:payment-declined", "detail": "no funds"})
    await scene.saga("order-1", idempotencyKey="cart-1", input={"order": "o"})
    await scene.until_phase("order-1", "Compensated")
    await scene.saga("order-2", idempotencyKey="cart-1", input={"order": "o"})
    status = await scene.until_phase("order-2", "Compensated")
    assert status["reason"] == "PaymentDeclined"
    assert scene.participant.calls == ["reserve", "pay", "reserve/undo"]


async def test_an_object_that_shows_anothers_run_says_whom_to_ask_to_hold_it(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("reserve")
    await scene.saga("order-1", idempotencyKey="cart-1", input={"order": "o"})
    await scene.until_called("reserve")
    await scene.saga("order-2", idempotencyKey="cart-1", input={"order": "o"})
    await scene.until_phase("order-2", "Running")
    await scene.edit("order-2", cancel=True)

    async def told() -> bool:
        message = str((await scene.status("order-2")).get("message"))
        return f"shows the run of {scene.namespace}/order-1; suspend or cancel that one" in message

    await until(told, "order-2 to say whose run it shows")
    scene.participant.release("reserve")
    await scene.until_phase("order-2", "Succeeded")


async def test_suspend_and_resume_by_editing_the_object(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("reserve")
    saga = await scene.saga("order-1")
    await scene.until_called("reserve")
    await scene.edit("order-1", suspend=True)
    await scene.until_noted(saga, "SagaSuspended")
    scene.participant.release("reserve")
    await scene.until_phase("order-1", "Suspended")
    assert scene.participant.calls == ["reserve"]
    await scene.edit("order-1", suspend=False)
    await scene.until_phase("order-1", "Succeeded")


async def test_cancel_undoes_the_done_steps(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    saga = await scene.saga("order-1")
    await scene.until_called("pay")
    await scene.edit("order-1", cancel=True)
    await scene.until_noted(saga, "CancelAsked")
    scene.participant.release("pay")
    await scene.until_phase("order-1", "Compensated")
    assert scene.participant.calls[-1] == "reserve/undo"


async def test_a_finished_saga_is_deleted_when_its_time_is_over(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("short", ttlSecondsAfterFinished=1)
    await scene.saga("long", ttlSecondsAfterFinished=600)
    await scene.until_phase("long", "Succeeded")
    await scene.until_gone("short")
    assert (await scene.status("long"))["phase"] == "Succeeded"


async def test_a_definition_is_checked_again_when_its_participant_appears(scene: Scene) -> None:
    spec = definition_spec()
    spec["steps"][1]["participantRef"]["name"] = "late"
    await scene.create(DEFINITIONS, "order", spec)
    failed = await scene.until_condition(DEFINITIONS, "order", "Ready", "False", "LintFailed")
    assert "pay" in failed["message"]
    assert "late" in failed["message"]
    await scene.create_participant("late")
    await scene.until_ready(DEFINITIONS, "order")


def writes(apiserver: ApiServer, scene: Scene, name: str) -> list[dict[str, object]]:
    """The log lines about one Saga object of this test."""
    return [w for w in apiserver.writes("sagas", name) if w["objectRef"]["namespace"] == scene.namespace]
