"""Two watched namespaces with rights by Roles, as the chart grants them: trouble in one never reaches the other.

The namespace controller is missing here, so the tests do in its order what it does: RoleBindings first.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, web

from kompensa.client.engine_client import EngineClient
from kompensa.cluster.kube import Kube
from kompensa.cluster.resources import OUTBOXES, SAGAS
from kompensa_dev.ports import Ports
from kompensa_dev.postgres import PostgresServer
from kompensa_dev.run import Run
from tests.integration.apiserver import ADMIN, SYSTEM, ApiServer
from tests.integration.operator_processes import API_TOKEN, RIGHTS, OperatorProcesses
from tests.integration.operator_scene import Scene
from tests.integration.stub_participant import StubParticipant
from tests.support.waiting import until

DELETION_RIGHTS = RIGHTS.with_name("deletion_rights.yaml")
USER = f"system:serviceaccount:{SYSTEM}:kompensa-operator"
NEVER = "never-existed"


class Shops:
    """Namespaces `good` and `doomed`, watched by one operator that has rights by Roles in both."""

    def __init__(self, apiserver: ApiServer, processes: OperatorProcesses, good: Scene, doomed: Scene) -> None:
        self.apiserver = apiserver
        self.processes = processes
        self.good = good
        self.doomed = doomed

    def take_rights(self) -> None:
        self.apiserver.kubectl("delete", "rolebinding", "kompensa-operator", "-n", self.doomed.namespace)

    def give_rights(self) -> None:
        self.apiserver.apply(*roles(self.doomed.namespace))

    def narrow(self, resource: str, verbs: list[str]) -> None:
        """Leave only these verbs on a kind in the doomed namespace."""
        role, binding = roles(self.doomed.namespace)
        rest = [
            {**rule, "resources": [name for name in rule["resources"] if name != resource]} for rule in role["rules"]
        ]
        rules = [rule for rule in rest if rule["resources"]]
        left = {"apiGroups": ["kompensa.dev"], "resources": [resource], "verbs": verbs}
        self.apiserver.apply(role | {"rules": [*rules, left]}, binding)

    def restart_operator(self) -> None:
        assert self.processes.operator is not None
        self.processes.operator.kill()
        self.processes.start_operator()

    async def trouble(self) -> dict[str, str]:
        async with ClientSession() as session, session.get(f"{self.processes.probe_url}/readyz") as answer:
            assert answer.status == 200
            namespaces: dict[str, str] = (await answer.json())["namespaces"]
            return namespaces

    async def until_trouble(self, reason: str) -> None:
        async def reported() -> bool:
            return (await self.trouble()).get(self.doomed.namespace, "").startswith(reason)

        await until(reported, f"trouble {reason}", seconds=60)

    async def until_no_trouble(self) -> None:
        async def over() -> bool:
            return self.doomed.namespace not in await self.trouble()

        await until(over, "the trouble to end", seconds=120)

    async def delete_unseen(self, scene: Scene) -> Any:
        """A running Saga whose deletion no watch reports, because the operator is away."""
        scene.participant.hold("pay")
        saga = await scene.saga("order-1")
        await scene.until_called("pay")
        assert self.processes.operator is not None
        self.processes.operator.kill()
        await scene.delete(SAGAS, "order-1")
        return saga


def roles(namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Role and RoleBinding with what the ClusterRole of `rights.yaml` grants."""
    documents = list(yaml.safe_load_all(RIGHTS.read_text()))
    rules = next(d["rules"] for d in documents if d["kind"] == "ClusterRole" and "operator" in d["metadata"]["name"])
    metadata = {"name": "kompensa-operator", "namespace": namespace}
    api = "rbac.authorization.k8s.io"
    return (
        {"apiVersion": f"{api}/v1", "kind": "Role", "metadata": metadata, "rules": rules},
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "kompensa-operator"},
            "subjects": [{"kind": "User", "name": USER, "apiGroup": api}],
        },
    )


def deletion_rights(namespaces: list[str]) -> list[dict[str, Any]]:
    """The ClusterRole that outlives a namespace, bound to the operator."""
    role = next(d for d in yaml.safe_load_all(DELETION_RIGHTS.read_text()) if "operator" in d["metadata"]["name"])
    role["rules"][0]["resourceNames"] = namespaces
    binding = roles("")[1] | {"kind": "ClusterRoleBinding", "metadata": role["metadata"]}
    binding["roleRef"] = {**binding["roleRef"], "kind": "ClusterRole", "name": role["metadata"]["name"]}
    return [role, binding]


@asynccontextmanager
async def processes_for(
    run: Run, apiserver: ApiServer, postgres: PostgresServer, namespaces: list[str]
) -> AsyncIterator[OperatorProcesses]:
    """An engine and an operator of these namespaces; the rights in the whole cluster are given back at the end."""
    processes = OperatorProcesses(run, apiserver, postgres.create_database(f"j_{secrets.token_hex(4)}").url, Ports())
    processes.extra = {
        "KOMPENSA_WATCH_NAMESPACES": ",".join([*namespaces, NEVER]),
        "KOMPENSA_LEASE_NAME": "kompensa-operator",
    }
    apiserver.kubectl("delete", "clusterrolebinding", "kompensa-operator")
    for namespace in namespaces:
        apiserver.apply(*roles(namespace))
    rights = deletion_rights([*namespaces, NEVER])
    apiserver.apply(*rights)
    try:
        processes.ensure()
        yield processes
    finally:
        for process in (processes.operator, processes.engine):
            if process is not None and process.is_alive:
                process.stop()
        apiserver.kubectl("delete", "-f", "-", stdin=yaml.safe_dump_all(rights))
        apiserver.kubectl("apply", "-f", str(RIGHTS))


@asynccontextmanager
async def empty_connect(port: int) -> AsyncIterator[str]:
    """A Kafka Connect that has no connector."""

    async def none(_: web.Request) -> web.Response:
        return web.json_response({"error_code": 404, "message": "Connector not found"}, status=404)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", none)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def shops(
    run: Run,
    apiserver: ApiServer,
    operator_processes: OperatorProcesses,
    postgres: PostgresServer,
    ports: Ports,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Shops]:
    if operator_processes.operator is not None and operator_processes.operator.is_alive:
        operator_processes.operator.stop()
    names = [f"{kind}-{secrets.token_hex(4)}" for kind in ("good", "doomed")]
    for name in names:
        apiserver.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    monkeypatch.setenv("KUBECONFIG", str(apiserver.kubeconfig(ADMIN)))
    async with (
        processes_for(run, apiserver, postgres, names) as processes,
        Kube.connect() as kube,
        StubParticipant.serving(ports.take("participant")) as participant,
        StubParticipant.serving(ports.take("participant")) as other,
    ):
        good, doomed = Scene(kube, processes, names[0], participant), Scene(kube, processes, names[1], other)
        for scene in (good, doomed):
            await scene.create_participant("stub")
            await scene.definition()
        yield Shops(apiserver, processes, good, doomed)


async def test_a_namespace_without_rights_does_not_keep_deleted_sagas_of_another_from_being_settled(
    shops: Shops,
) -> None:
    saga = await shops.delete_unseen(shops.good)
    shops.take_rights()
    shops.processes.start_operator()
    await shops.good.until_noted(saga, "CancelAsked")
    await shops.until_trouble("Forbidden")
    shops.give_rights()
    await shops.doomed.saga("order-2")
    await shops.doomed.until_phase("order-2", "Succeeded", seconds=90)
    await shops.until_no_trouble()


async def test_a_namespace_that_never_existed_is_reported_and_harms_nothing(shops: Shops) -> None:
    await shops.good.saga("order-1")
    await shops.good.until_phase("order-1", "Succeeded")

    async def reported() -> bool:
        return (await shops.trouble()).get(NEVER, "").startswith("NamespaceNotFound")

    await until(reported, "the missing namespace to be reported", seconds=30)


async def test_one_forbidden_kind_stops_neither_the_other_kinds_nor_the_other_namespace(shops: Shops) -> None:
    saga = await shops.delete_unseen(shops.doomed)
    shops.narrow("replicas", ["get"])
    shops.processes.start_operator()
    await shops.doomed.until_noted(saga, "CancelAsked")
    await shops.until_trouble("Forbidden")
    await shops.good.saga("order-1")
    await shops.good.until_phase("order-1", "Succeeded")


async def test_a_kind_that_may_not_be_watched_is_reported_and_the_operator_stays_alive(shops: Shops) -> None:
    shops.narrow("sagas", ["get", "list", "delete"])
    shops.restart_operator()
    await shops.until_trouble("Forbidden")
    async with ClientSession() as session, session.get(f"{shops.processes.probe_url}/healthz") as answer:
        assert answer.status == 200


async def test_an_outbox_finalizer_goes_after_the_role_binding(shops: Shops) -> None:
    """Even an operator that starts only then does so: its right on Outboxes outlives the namespace's own Roles."""
    async with empty_connect(Ports().take("connect")) as connect:
        shops.processes.extra["KOMPENSA_CONNECT_URL"] = connect
        await delete_outbox_without_rights(shops)


async def delete_outbox_without_rights(shops: Shops) -> None:
    spec = {
        "databaseSecretRef": {"name": "gone"},
        "captureSecretRef": {"name": "gone"},
        "table": "orders.outbox",
        "topicPrefix": "crm.orders",
        "events": ["customer-created"],
    }
    await shops.doomed.create(OUTBOXES, "orders", spec)
    held = {"metadata": {"finalizers": ["kompensa.dev/capture"]}}
    await shops.doomed.kube.merge(OUTBOXES, shops.doomed.namespace, "orders", held)
    assert shops.processes.operator is not None
    shops.processes.operator.kill()
    shops.take_rights()
    delete = ["delete", "outbox", "orders", "-n", shops.doomed.namespace, "--wait=false"]
    await asyncio.to_thread(shops.apiserver.kubectl, *delete)
    shops.processes.start_operator()

    async def gone() -> bool:
        return [item async for item in shops.doomed.kube.each(OUTBOXES, shops.doomed.namespace)] == []

    await until(gone, "the Outbox to be gone", seconds=60)


async def test_the_sagas_of_a_namespace_that_is_gone_are_settled(shops: Shops) -> None:
    saga = await shops.delete_unseen(shops.doomed)
    shops.take_rights()
    finalize(shops.apiserver, shops.doomed.namespace)
    shops.processes.start_operator()
    await shops.doomed.until_noted(saga, "CancelAsked")
    async with EngineClient.connect(shops.processes.engine_url, API_TOKEN) as engine:

        async def forgotten() -> bool:
            return all(item.namespace != shops.doomed.namespace for item in await engine.declared_objects())

        await until(forgotten, "the engine to forget what the namespace declared")
    await shops.good.saga("order-1")
    await shops.good.until_phase("order-1", "Succeeded")


def finalize(apiserver: ApiServer, namespace: str) -> None:
    """End a namespace as the namespace controller does when nothing is left in it."""
    for kind in ("sagas", "sagadefinitions", "participants"):
        apiserver.kubectl("delete", kind, "--all", "-n", namespace)
    apiserver.kubectl("delete", "namespace", namespace, "--wait=false")
    path = Path(f"/api/v1/namespaces/{namespace}/finalize")
    body = apiserver.get("namespace", namespace) | {"spec": {"finalizers": []}}
    apiserver.kubectl("replace", "--raw", str(path), "-f", "-", stdin=json.dumps(body))
