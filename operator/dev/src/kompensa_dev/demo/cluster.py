"""A cluster as a target of the demo: sagas are applied as objects, the engine is a pod."""

import asyncio
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kompensa.client.engine_client import EngineClient, EngineProblemError
from kompensa.cluster.access import token_of_cluster, use_own_kubeconfig
from kompensa.cluster.kube import Kube, NotFoundError
from kompensa.cluster.resources import DEPLOYMENTS, NODES, PODS, REPLICAS, SAGAS, Object
from kompensa.cluster.secrets import SecretError, read_key
from kompensa_dev.console import paper
from kompensa_dev.demo.checks import wait_for
from kompensa_dev.demo.shop_client import NOT_FOUND, ShopClient
from kompensa_dev.demo.story import tell
from kompensa_dev.demo.target import Hint, ReplicaLine, View
from kompensa_dev.errors import BadInputError
from kompensa_dev.http import answers_ok
from kompensa_dev.kind_node import KindNode
from kompensa_dev.options import wanted_ports
from kompensa_dev.shop import SERVICES

ENGINE_LABELS = "app.kubernetes.io/component=engine"
SHOP_DEPLOYMENT = "orders"
FIELD_MANAGER = "kompensa-demo"
STOP_SECONDS = 60.0
BACK_SECONDS = 120.0


def run_on_cluster(*, namespace: str, system_namespace: str) -> None:
    """Run the five stages on the cluster of KUBECONFIG, or of `make up` when that is not set."""
    use_own_kubeconfig()
    asyncio.run(_run(namespace, system_namespace))


async def _run(namespace: str, system_namespace: str) -> None:
    published = wanted_ports()
    async with Kube.connect() as kube:
        await require_installed(kube, namespace=namespace, system_namespace=system_namespace)
        token = await token_of_cluster(kube, system_namespace)
        tokens = await shop_tokens(kube, namespace)
        async with (
            ShopClient.connect(published.urls, tokens) as shop,
            EngineClient.connect(published.api_url, token) as engine,
        ):
            target = ClusterTarget(kube, shop, engine, namespace=namespace, system_namespace=system_namespace)
            await tell(target, paper())


async def shop_tokens(kube: Kube, namespace: str) -> dict[str, str]:
    """The back office's token at each service of the shop that checks its callers."""
    tokens = {}
    for service in SERVICES:
        with suppress(SecretError):
            tokens[service] = await read_key(kube, namespace, f"{service}-callers", "backoffice")
    return tokens


async def require_installed(kube: Kube, *, namespace: str, system_namespace: str) -> None:
    """See that shop and engine are in these namespaces.

    Raises
    ------
    BadInputError
        Naming the namespace where one of them is not, and the option that names another.
    UnavailableError
        If the API server does not answer.
    """
    try:
        await kube.get(DEPLOYMENTS, namespace, SHOP_DEPLOYMENT)
    except NotFoundError:
        raise BadInputError(
            f"there is no shop in namespace {namespace} (no deployment/{SHOP_DEPLOYMENT}): say with --namespace where "
            "it is, or install it with `make up`"
        ) from None
    if not [pod async for pod in kube.each(PODS, system_namespace, labels=ENGINE_LABELS, metadata_only=True)]:
        raise BadInputError(
            f"there is no engine in namespace {system_namespace} (no pod {ENGINE_LABELS}): say with "
            "--system-namespace where it is, or install it with `make up`"
        )


class ClusterTarget:
    """Objects by the API server; what is not in an object's status by the engine's API."""

    def __init__(
        self, kube: Kube, shop: ShopClient, engine: EngineClient, *, namespace: str, system_namespace: str
    ) -> None:
        self.shop = shop
        self.kafka = wanted_ports().bootstrap
        self.placing = f"kubectl apply -n {namespace} -f {{name}}.yaml"
        self._kube = kube
        self._engine = engine
        self._namespace = namespace
        self._system_namespace = system_namespace
        self._replicas: dict[str, int] = {}
        self._killed: set[str] = set()

    async def place(self, name: str, order: Mapping[str, Any]) -> None:
        saga = {
            "apiVersion": SAGAS.api_version,
            "kind": SAGAS.kind,
            "metadata": {"name": name, "namespace": self._namespace},
            "spec": {"definitionRef": {"name": "create-order"}, "input": order},
        }
        await self._kube.apply(SAGAS, self._namespace, saga, manager=FIELD_MANAGER)

    async def saga(self, name: str) -> View:
        found = await self._kube.get(SAGAS, self._namespace, name)
        try:
            return await self._engine.saga(found["metadata"]["uid"])
        except EngineProblemError as problem:
            if problem.status != NOT_FOUND:
                raise
            return {"phase": "Pending", "steps": []}  # the operator is about to hand it over

    async def saga_view(self, name: str) -> View:
        found = await self._kube.get(SAGAS, self._namespace, name)
        status: View = found.get("status") or {}
        return status

    async def sagas(self) -> Sequence[View]:
        return await self._engine.sagas({"namespace": self._namespace, "limit": "50"})

    async def replicas(self) -> Sequence[ReplicaLine]:
        return [_line(replica) async for replica in self._kube.each(REPLICAS, self._namespace)]

    async def stop_service(self, service: str) -> None:
        deployment = await self._kube.get(DEPLOYMENTS, self._namespace, service)
        self._replicas[service] = int(deployment["spec"].get("replicas") or 1)
        await self._scale(service, 0)

        async def silent() -> bool | None:
            answers = await asyncio.to_thread(answers_ok, f"{self.shop.urls[service]}/healthz")
            return None if answers else True

        await wait_for(silent, what=f"{service} stopped", timeout=STOP_SECONDS)

    async def start_service(self, service: str) -> None:
        await self._scale(service, self._replicas[service])

    async def kill_engine(self) -> str:
        """By SIGKILL on a kind cluster, then deleted, so that the next pod does not wait; else only deleted."""
        pods = [pod async for pod in self._kube.each(PODS, self._system_namespace, labels=ENGINE_LABELS)]
        crashed = [await self._crash(pod) for pod in pods]
        for pod in pods:
            metadata = pod["metadata"]
            self._killed.add(metadata["uid"])
            await self._kube.delete(
                PODS, self._system_namespace, metadata["name"], uid=metadata["uid"], grace_seconds=0
            )
        names = ", ".join(pod["metadata"]["name"] for pod in pods)
        return f"the engine's pod ({names}, {'kill -9' if all(crashed) else 'deleted by force'})"

    async def _crash(self, pod: Object) -> bool:
        name = pod["spec"].get("nodeName")
        nodes = [node async for node in self._kube.each(NODES, None) if node["metadata"]["name"] == name]
        node = KindNode.of(nodes[0]["spec"].get("providerID")) if nodes else None
        try:
            return node is not None and await asyncio.to_thread(node.kill, pod["metadata"]["uid"])
        except (OSError, subprocess.SubprocessError):
            return False

    async def engine_back(self) -> None:
        async def ready() -> bool | None:
            async for pod in self._kube.each(PODS, self._system_namespace, labels=ENGINE_LABELS):
                if pod["metadata"]["uid"] not in self._killed and _is_ready(pod):
                    return await self._engine.ready() or None
            return None

        await wait_for(ready, what="a new engine pod ready", timeout=BACK_SECONDS)

    def hints(self) -> Sequence[Hint]:
        return (
            Hint(command="kubectl get sagas -A", purpose='every saga (first: eval "$(python3 -m images env)")'),
            Hint(command="kompensa sagas list", purpose="the same, with those started over HTTP"),
            Hint(command="kompensa watch orders.customer-created --last 3", purpose="follow a topic"),
            Hint(command="make chaos", purpose="kill pods under load, then check that nothing is lost"),
            Hint(command="make down", purpose="delete the cluster"),
            Hint(command=f"{self.shop.urls['orders']}/docs", purpose="orders' API; the other services have one, too"),
        )

    async def _scale(self, service: str, replicas: int) -> None:
        await self._kube.merge(DEPLOYMENTS, self._namespace, service, {"spec": {"replicas": replicas}})


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _line(replica: Object) -> ReplicaLine:
    status = replica.get("status") or {}
    return ReplicaLine(
        name=replica["metadata"]["name"],
        target=replica["spec"]["target"]["table"],
        applied=int(status.get("appliedRecords") or 0),
        lag=int(status.get("lagRecords") or 0),
        parked=int(status.get("parkedKeys") or 0),
    )
