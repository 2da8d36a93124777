"""Replica objects on a real API server: the worker's objects, and a status that says what the worker says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from kompensa.cluster.resources import CONFIG_MAPS, DEPLOYMENTS, REPLICAS, SECRETS, SERVICES, Object
from tests.integration.apiserver import ApiServer
from tests.integration.operator_scene import Scene, conditions
from tests.support.waiting import until

SPEC: Object = {
    "source": {"topics": ["orders.customer-created"]},
    "target": {
        "databaseSecretRef": {"name": "invoices-postgres"},
        "table": "invoices.customers",
        "keyColumn": "orders_customer_id",
        "versionColumn": "source_version",
        "deletedAtColumn": "deleted_at",
        "columns": [{"name": "email"}],
    },
}


@dataclass
class StubWorkers:
    """Stands where the operator looks for workers; knows only those it was given an answer for."""

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def status(self, request: web.Request) -> web.Response:
        answer = self.answers.get(f"{request.match_info['namespace']}/{request.match_info['name']}")
        return web.json_response(answer) if answer else web.Response(status=503)


@pytest.fixture
async def workers(scene: Scene) -> AsyncIterator[StubWorkers]:
    stub = StubWorkers()
    app = web.Application()
    app.add_routes([web.get("/{namespace}/{name}/status", stub.status)])
    runner = web.AppRunner(app, handle_signals=False, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", scene.processes.replica_port).start()
    yield stub
    await runner.cleanup()


def following(**changed: Any) -> dict[str, Any]:
    return {"ready": True, "lagRecords": 0, "lagSeconds": 0.0, "appliedRecords": 7, "parkedKeys": 0} | changed


async def make_secret(scene: Scene, **values: str) -> None:
    body = {"metadata": {"name": "invoices-postgres"}, "stringData": values}
    await scene.kube.create(SECRETS, scene.namespace, body)


async def test_a_missing_secret_or_key_is_named(scene: Scene, workers: StubWorkers) -> None:
    await scene.create(REPLICAS, "customers", SPEC)
    waiting = await scene.until_condition(REPLICAS, "customers", "Ready", "False", "SecretNotFound")
    assert "invoices-postgres" in waiting["message"]
    assert scene.namespace in waiting["message"]
    await make_secret(scene, connection="postgresql://invoices")

    async def key_named() -> bool:
        message = conditions(await scene.status("customers", REPLICAS))["Ready"]["message"]
        return "url" in message and "connection" in message

    await until(key_named, "the missing key to be named")
    secret = {"stringData": {"url": "postgresql://invoices"}}
    await scene.kube.merge(SECRETS, scene.namespace, "invoices-postgres", secret)
    await scene.until_condition(REPLICAS, "customers", "Ready", "False", "WorkerUnreachable")


async def test_a_replica_gets_a_worker_that_goes_with_it(scene: Scene, workers: StubWorkers) -> None:
    await make_secret(scene, url="postgresql://invoices")
    made = await scene.create(REPLICAS, "customers", SPEC)
    waiting = await scene.until_condition(REPLICAS, "customers", "Ready", "False", "WorkerUnreachable")
    assert "kompensa.dev/replica=customers" in waiting["message"]
    for resource in (CONFIG_MAPS, SERVICES, DEPLOYMENTS):
        found = await scene.kube.get(resource, scene.namespace, "replica-customers")
        (owner,) = found["metadata"]["ownerReferences"]
        assert owner["uid"] == made["metadata"]["uid"]
    workers.answers[f"{scene.namespace}/replica-customers"] = following()
    await scene.until_ready(REPLICAS, "customers")
    assert (await scene.status("customers", REPLICAS))["appliedRecords"] == 7


async def test_a_parked_key_is_shown_to_people(scene: Scene, workers: StubWorkers) -> None:
    workers.answers[f"{scene.namespace}/replica-customers"] = following(parkedKeys=1, lastError="email is missing")
    await scene.create(REPLICAS, "customers", SPEC)
    parked = await scene.until_condition(REPLICAS, "customers", "Stalled", "True", "KeysParked")
    assert "email is missing" in parked["message"]


async def test_the_kinds_declare_every_field_that_the_operator_writes(
    scene: Scene, workers: StubWorkers, apiserver: ApiServer
) -> None:
    """The API server drops a field that the schema does not know; the operator would write it again forever."""
    workers.answers[f"{scene.namespace}/replica-customers"] = following(
        lastError="none", lastAppliedTime="2026-03-01T12:00:00.000Z"
    )
    await scene.create(REPLICAS, "customers", SPEC)
    await scene.until_ready(REPLICAS, "customers")
    status = await scene.status("customers", REPLICAS)
    assert status.keys() == {
        "observedGeneration",
        "lagRecords",
        "lagSeconds",
        "appliedRecords",
        "parkedKeys",
        "lastError",
        "lastAppliedTime",
        "conditions",
    }


async def test_a_changed_spec_reaches_the_worker(scene: Scene, workers: StubWorkers) -> None:
    await make_secret(scene, url="postgresql://invoices")
    await scene.create(REPLICAS, "customers", SPEC)
    await scene.until_condition(REPLICAS, "customers", "Ready", "False", "WorkerUnreachable")

    async def deployed() -> str:
        found = await scene.kube.get(DEPLOYMENTS, scene.namespace, "replica-customers")
        return str(found["spec"]["template"]["metadata"]["annotations"]["kompensa.dev/spec-hash"])

    before = await deployed()
    topics = ["orders.customer-created", "orders.customer-deleted"]
    await scene.kube.merge(REPLICAS, scene.namespace, "customers", {"spec": {"source": {"topics": topics}}})

    async def changed() -> bool:
        return await deployed() != before

    await until(changed, "the Deployment to change")


async def test_numbers_that_move_cost_few_writes(scene: Scene, workers: StubWorkers, apiserver: ApiServer) -> None:
    key = f"{scene.namespace}/replica-customers"
    workers.answers[key] = following()
    await scene.create(REPLICAS, "customers", SPEC)
    await scene.until_ready(REPLICAS, "customers")
    for number in range(20):
        workers.answers[key] = following(appliedRecords=number)
        await asyncio.sleep(0.05)
    workers.answers[key] = following(appliedRecords=1000, parkedKeys=1)
    await scene.until_condition(REPLICAS, "customers", "Stalled", "True", "KeysParked")
    writes = [w for w in apiserver.writes("replicas", "customers") if w["objectRef"]["namespace"] == scene.namespace]
    # Created; unreachable or ready at first; at most one for numbers; parked.
    assert len(writes) <= 5
