"""A Saga object from its creation to its end as a person meets it: held, parked, shown, deleted, and cleaned up."""

import asyncio

from kompensa.cluster.resources import SAGAS, Object
from tests.integration.apiserver import ApiServer
from tests.integration.operator_scene import Scene, conditions

DECLINED = (422, {"type": "urn:test:problem:payment-declined", "detail": "no funds"})
NO_SUCH_PATH = (404, {"detail": "no such path"})


async def test_a_saga_created_suspended_makes_no_call_until_it_is_resumed(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("order-1", suspend=True)
    status = await scene.until_phase("order-1", "Suspended")
    assert conditions(status)["Reconciling"]["status"] == "False"
    assert scene.participant.calls == []
    await scene.edit("order-1", suspend=False)
    await scene.until_phase("order-1", "Succeeded")
    assert scene.participant.calls == ["reserve", "pay"]


async def test_a_saga_created_cancelled_ends_without_a_call(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("order-1", cancel=True)
    await scene.until_phase("order-1", "Compensated")
    assert scene.participant.calls == []


async def test_a_suspended_saga_can_be_cancelled(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("order-1", suspend=True)
    await scene.until_phase("order-1", "Suspended")
    await scene.edit("order-1", cancel=True)
    await scene.until_phase("order-1", "Compensated")


async def test_changes_made_while_the_operator_was_down_take_effect_when_it_is_back(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("reserve")
    saga = await scene.saga("order-1")
    await scene.until_called("reserve")
    away(scene)
    await scene.edit("order-1", suspend=True)
    scene.processes.start_operator()
    await scene.until_noted(saga, "SagaSuspended")
    scene.participant.release("reserve")
    await scene.until_phase("order-1", "Suspended")
    away(scene)
    await scene.edit("order-1", suspend=False)
    scene.processes.start_operator()
    await scene.until_phase("order-1", "Succeeded")


async def test_a_parked_saga_is_shown_everywhere_and_retried_after_suspend_and_resume(
    scene: Scene, apiserver: ApiServer
) -> None:
    await scene.definition()
    scene.participant.replies["pay"] = NO_SUCH_PATH
    await scene.saga("order-1", ttlSecondsAfterFinished=0)
    status = await scene.until_phase("order-1", "InterventionRequired")
    assert status["step"] == "pay"
    assert "completionTime" not in status
    assert {kind for kind, said in conditions(status).items() if said["status"] == "True"} == {
        "Stalled",
        "InterventionRequired",
    }
    pay = status["steps"][1]
    assert (pay["state"], pay["outcome"]) == ("Parked", "Misconfigured")
    await scene.until_event(apiserver, "InterventionRequired")
    described = apiserver.kubectl("describe", "saga", "order-1", "-n", scene.namespace)
    assert "Warning  InterventionRequired" in described
    scene.participant.replies.pop("pay")
    await scene.edit("order-1", suspend=True)
    await scene.edit("order-1", suspend=False)
    await scene.until_gone("order-1")
    assert scene.participant.calls == ["reserve", "pay", "pay"]


async def test_the_printed_columns_show_how_each_saga_ended(scene: Scene, apiserver: ApiServer) -> None:
    await scene.definition()
    await scene.saga("done")
    await scene.until_phase("done", "Succeeded")
    scene.participant.replies["pay"] = DECLINED
    await scene.saga("undone")
    await scene.until_phase("undone", "Compensated")
    printed = apiserver.kubectl("get", "sagas", "-n", scene.namespace).splitlines()
    assert printed[0].split() == ["NAME", "DEFINITION", "PHASE", "STEP", "PROGRESS", "REASON", "AGE"]
    assert printed[1].split()[:5] == ["done", "order", "Succeeded", "pay", "2/2"]
    assert printed[2].split()[:6] == ["undone", "order", "Compensated", "pay", "1/2", "PaymentDeclined"]
    definitions = apiserver.kubectl("get", "sagadefinitions", "-n", scene.namespace).splitlines()
    assert definitions[1].split()[2:4] == ["True", "Accepted"]
    participants = apiserver.kubectl("get", "participants", "-n", scene.namespace).splitlines()
    assert participants[1].split()[:4] == ["stub", scene.participant.url, "Keyed", "True"]


async def test_kubectl_wait_ends_when_the_saga_does(scene: Scene, apiserver: ApiServer) -> None:
    await scene.definition()
    await scene.saga("order-1")
    wait = ("wait", "--for=condition=Succeeded", "saga/order-1", "-n", scene.namespace, "--timeout=30s")
    # In a thread, as the participant answers in this loop.
    waited = await asyncio.to_thread(apiserver.kubectl, *wait)
    assert "condition met" in waited


async def test_an_orphaned_saga_runs_on_even_if_the_operator_was_down(scene: Scene) -> None:
    await scene.definition(steps=("reserve", "pay", "ship"))
    scene.participant.hold("pay")
    saga = await scene.saga("order-1", deletionPolicy="Orphan")
    await scene.until_called("pay")
    away(scene)
    await scene.delete(SAGAS, "order-1")
    scene.processes.start_operator()
    await scene.until_more(scene.settled, 0, "the operator to report the deleted Saga to the engine")
    scene.participant.release("pay")
    await scene.until_called("ship")
    await scene.until_noted(saga, "SagaSucceeded")
    assert scene.participant.calls == ["reserve", "pay", "ship"]


async def test_a_saga_that_a_finalizer_holds_is_undone_and_shows_it(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    saga = await scene.saga("order-1")
    await scene.kube.merge(SAGAS, scene.namespace, "order-1", {"metadata": {"finalizers": ["test.dev/hold"]}})
    await scene.until_called("pay")
    await scene.delete(SAGAS, "order-1")
    await scene.until_noted(saga, "CancelAsked")
    scene.participant.release("pay")
    status = await scene.until_phase("order-1", "Compensated")
    assert (status["reason"], status["message"]) == ("Cancelled", "its Saga object is being deleted")
    await scene.kube.merge(SAGAS, scene.namespace, "order-1", {"metadata": {"finalizers": []}})


async def test_a_saga_that_ended_while_the_operator_was_away_is_still_cleaned_up(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    await scene.saga("order-1", ttlSecondsAfterFinished=0)
    await scene.until_called("pay")
    away(scene)
    scene.participant.release("pay")
    await scene.until_phase("order-1", "Succeeded")
    scene.processes.start_operator()
    await scene.until_gone("order-1")


async def test_a_finished_saga_may_be_given_a_time_to_live_later(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("order-1")
    await scene.saga("order-2", ttlSecondsAfterFinished=600)
    await scene.until_phase("order-1", "Succeeded")
    await scene.until_phase("order-2", "Succeeded")
    await scene.edit("order-1", ttlSecondsAfterFinished=0)
    await scene.edit("order-2", ttlSecondsAfterFinished=0)
    await scene.until_gone("order-1")
    await scene.until_gone("order-2")


async def test_a_refused_saga_is_cleaned_up_like_one_that_ran(scene: Scene) -> None:
    await scene.definition()
    await scene.saga("order-1", input={"order": "o", "quantity": -1}, ttlSecondsAfterFinished=1)
    await scene.until_phase("order-1", "Terminated")
    await scene.until_gone("order-1")


async def test_one_key_runs_once_however_many_objects_carry_it(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("reserve")
    same: Object = {"idempotencyKey": "cart-1", "input": {"order": "o"}}
    names = [f"order-{number}" for number in range(5)]
    for name in names:
        await scene.saga(name, **same)
    await scene.until_called("reserve")
    scene.participant.release("reserve")
    for name in names:
        await scene.until_phase(name, "Succeeded")
    assert scene.participant.calls == ["reserve", "pay"]


async def test_deleting_a_copy_of_a_run_does_not_undo_the_run(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    same: Object = {"idempotencyKey": "cart-1", "input": {"order": "o"}}
    await scene.saga("first", **same)
    await scene.until_called("pay")
    await scene.saga("copy", **same)
    await scene.until_phase("copy", "Running")
    settled = await scene.settled()
    await scene.delete(SAGAS, "copy")
    await scene.until_more(scene.settled, settled, "the operator to see the deletion")
    scene.participant.release("pay")
    await scene.until_phase("first", "Succeeded")
    assert scene.participant.calls == ["reserve", "pay"]


def away(scene: Scene) -> None:
    """Kill the operator."""
    assert scene.processes.operator is not None
    scene.processes.operator.kill()
