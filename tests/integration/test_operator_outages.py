"""Sagas while a part is away: the operator, the engine, the API server (X7)."""

from kompensa.cluster.resources import DEFINITIONS, PARTICIPANTS, SAGAS
from tests.integration.apiserver import ApiServer
from tests.integration.operator_scene import Scene
from tests.support.waiting import until


async def test_a_saga_deleted_while_the_operator_is_away_is_settled_at_its_start(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    saga = await scene.saga("order-1")
    await scene.until_called("pay")
    assert scene.processes.operator is not None
    scene.processes.operator.kill()
    await scene.delete(SAGAS, "order-1")
    scene.processes.start_operator()
    await scene.until_noted(saga, "CancelAsked")
    scene.participant.release("pay")
    await scene.until_called("reserve/undo")


async def test_a_saga_created_while_the_operator_is_away_runs_when_it_is_back(scene: Scene) -> None:
    await scene.definition()
    assert scene.processes.operator is not None
    scene.processes.operator.kill()
    await scene.saga("order-1")
    scene.processes.start_operator()
    await scene.until_phase("order-1", "Succeeded")
    assert scene.participant.calls == ["reserve", "pay"]


async def test_a_saga_never_writes_on_another_object_of_its_name(scene: Scene) -> None:
    """While the operator is down, the engine does not learn that the first object is gone: only the uid protects."""
    await scene.definition()
    scene.participant.hold("pay")
    await scene.saga("order-1")
    await scene.until_called("pay")
    assert scene.processes.operator is not None
    scene.processes.operator.kill()
    await scene.delete(SAGAS, "order-1")
    await scene.saga("order-1", input={"order": "second"}, suspend=True)
    shown = await scene.statuses_written()
    scene.participant.release("pay")
    await scene.until_more(scene.statuses_written, shown, "the first saga's end to be shown")
    assert await scene.status("order-1") == {}
    scene.processes.start_operator()
    await scene.edit("order-1", suspend=False)
    await scene.until_phase("order-1", "Succeeded")


async def test_a_cancel_while_the_operator_is_away_is_passed_on(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    saga = await scene.saga("order-1")
    await scene.until_called("pay")
    assert scene.processes.operator is not None
    scene.processes.operator.kill()
    await scene.edit("order-1", cancel=True)
    scene.processes.start_operator()
    await scene.until_noted(saga, "CancelAsked")
    scene.participant.release("pay")
    await scene.until_phase("order-1", "Compensated")


async def test_a_definition_deleted_under_a_running_saga_does_not_touch_it(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    saga = await scene.saga("order-1")
    await scene.until_called("pay")
    await scene.delete(DEFINITIONS, "order")
    await scene.until_unknown("order")
    assert scene.processes.operator is not None
    scene.processes.operator.kill()
    scene.processes.start_operator()
    await scene.edit("order-1", suspend=True)
    await scene.until_noted(saga, "SagaSuspended")
    assert (await scene.status("order-1")).get("reason") != "DefinitionNotFound"
    await scene.edit("order-1", suspend=False)
    scene.participant.release("pay")
    await scene.until_phase("order-1", "Succeeded")


async def test_objects_deleted_while_the_operator_was_down_are_withdrawn_at_its_start(scene: Scene) -> None:
    await scene.definition()
    await scene.definition("kept")
    await scene.create_participant("gone")
    await scene.declare_by_hand("by-hand")
    assert scene.processes.operator is not None
    scene.processes.operator.kill()
    await scene.delete(DEFINITIONS, "order")
    await scene.delete(PARTICIPANTS, "gone")
    scene.processes.start_operator()
    await scene.until_unknown("order")

    async def forgotten() -> bool:
        return "gone" not in await scene.known("participants")

    await until(forgotten, "the engine to forget the participant")
    assert await scene.known("participants") == ["by-hand", "stub"]
    assert await scene.known("definitions") == ["by-hand", "kept"]


async def test_a_saga_goes_on_after_the_engine_was_killed(scene: Scene) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    await scene.saga("order-1")
    await scene.until_called("pay")
    assert scene.processes.engine is not None
    scene.processes.engine.kill()
    scene.participant.release("pay")
    scene.processes.start_engine()
    status = await scene.until_phase("order-1", "Succeeded", seconds=30)
    assert status["observedGeneration"] == 1


async def test_a_saga_applied_while_the_engine_is_away_runs_when_it_is_back(scene: Scene) -> None:
    await scene.definition()
    assert scene.processes.engine is not None
    scene.processes.engine.kill()
    await scene.saga("order-1")
    status = await scene.until_phase("order-1", "Pending", seconds=30)
    assert status["reason"] == "EngineUnreachable"
    scene.processes.start_engine()
    await scene.until_phase("order-1", "Succeeded", seconds=40)


async def test_the_object_catches_up_after_the_api_server_was_away(scene: Scene, apiserver: ApiServer) -> None:
    await scene.definition()
    scene.participant.hold("pay")
    await scene.saga("order-1")
    await scene.until_called("pay")
    apiserver.stop_serving()
    try:
        scene.participant.release("pay")
        await scene.until_ended_in_journal("order-1")
    finally:
        apiserver.start()
    await scene.until_phase("order-1", "Succeeded", seconds=30)
    await scene.saga("order-2")
    await scene.until_phase("order-2", "Succeeded", seconds=30)


async def test_a_second_operator_stands_by_and_takes_over(scene: Scene) -> None:
    await scene.definition()
    first = scene.processes.operator
    assert first is not None
    second = scene.processes.spawn_operator("operator-2", scene.processes.ports.take("operator-2-probe"))
    try:

        async def standing_by() -> bool:
            return "standing by" in second.log.read_text()

        await until(standing_by, "the second operator to stand by")
        first.stop()
        await scene.saga("order-1")
        await scene.until_phase("order-1", "Succeeded")
    finally:
        second.stop()
