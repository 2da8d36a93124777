"""The demo cluster as tests, chaos and benchmarks see it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from kompensa_dev.kind_node import KindNode
from tests.support.databases import ClusterDatabases
from tests.support.http import Answer, call
from tests.support.kubectl import UNSETTLED, Kubectl, KubectlError
from tests.support.services import SERVICES
from tests.support.shop import Shop, saga
from tests.support.waiting import eventually

T = TypeVar("T")

SYSTEM = "kompensa-system"
SHOP = "shop"
API = "http://127.0.0.1:18080"
PUBLISHED = {name: f"http://127.0.0.1:{18081 + n}" for n, name in enumerate(SERVICES)}
ENDED = ("Succeeded", "Compensated", "InterventionRequired", "Terminated")


def shell_environment(root: Path) -> dict[str, str]:
    """The environment of a shell after `eval "$(python3 -m images env)"`: KUBECONFIG, PATH, the engine's settings."""
    script = f'lines="$({shlex.quote(sys.executable)} -m images env)" && eval "$lines" && env -0'
    printed = subprocess.run(["/bin/sh", "-c", script], cwd=root, check=True, capture_output=True, timeout=60).stdout
    entries = [entry.partition("=") for entry in printed.decode().split("\0") if entry]
    return {name: value for name, _, value in entries}


class Cluster:
    """kubectl, the services on their loopback ports, the engine's API and every service's database."""

    def __init__(
        self, environment: Mapping[str, str], *, namespace: str = SHOP, shop_urls: Mapping[str, str] = PUBLISHED
    ) -> None:
        """`namespace` is that of the shop to look at; `shop_urls` is where its services are reached."""
        self.environment = environment
        self.namespace = namespace
        self.kubectl = Kubectl(environment)
        self.shop = Shop(shop_urls, cache(self._shop_token))
        self.databases = ClusterDatabases(self.kubectl, namespace)
        self._token: str | None = None

    def api(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """The engine's API with the token that the chart generated."""
        if self._token is None:
            self._token = self.kubectl.secret("kompensa-api", SYSTEM)["token"]
        return call(method, API + path, body, headers={"Authorization": f"Bearer {self._token}"}, **options)

    def _shop_token(self, service: str) -> str | None:
        """The back office's token at a service of the shop; None if the chart makes none (`callers.enabled`)."""
        try:
            return self.kubectl.secret(f"{service}-callers", self.namespace)["backoffice"]
        except KubectlError:
            return None

    def saga(self, name: str) -> dict[str, Any]:
        return self.kubectl.json("get", "saga", "-n", self.namespace, name)

    def start(self, name: str, order: Mapping[str, Any], **spec: Any) -> str:
        """Create a Saga in the shop's namespace, as `tests.support.shop.saga` describes it; its id."""
        made = self.kubectl.create(saga(name, order, namespace=self.namespace, **spec))
        return str(made["metadata"]["uid"])

    def saga_ends(self, name: str, *, seconds: float = 90) -> dict[str, Any]:
        """The Saga object's status once it has ended or is parked."""

        def ended() -> dict[str, Any] | None:
            status: dict[str, Any] = self.saga(name).get("status", {})
            return status if status.get("phase") in ENDED else None

        return self.eventually(ended, what=f"Saga {name} to end", seconds=seconds)

    def condition(self, what: str, kind: str) -> dict[str, Any]:
        """The condition of that type of an object in the shop's namespace; empty while there is none."""
        found = self.kubectl.json("get", "-n", self.namespace, what).get("status", {}).get("conditions", [])
        return next((condition for condition in found if condition["type"] == kind), {})

    def said(self, what: str, kind: str, reason: str) -> dict[str, Any] | None:
        """The condition once it has that reason."""
        found = self.condition(what, kind)
        return found if found.get("reason") == reason else None

    def pods(self, namespace: str, selector: str) -> list[dict[str, Any]]:
        return self.kubectl.items("pods", "-n", namespace, "-l", selector)

    def crash(self, namespace: str, selector: str) -> list[str]:
        """End every process of the pods by SIGKILL; the names of those that ran. The kubelet starts them again."""
        pods = [pod for pod in self.pods(namespace, selector) if _is_wanted(pod)]
        return [pod["metadata"]["name"] for pod in pods if self._node(pod).kill(pod["metadata"]["uid"])]

    def kill(self, namespace: str, selector: str) -> list[str]:
        """Crash the pods and delete what is left of them; the names of those that ran.

        Deletion alone, even by force, lets the kubelet end them in good order. It comes after the crash because the
        kubelet restarts the containers of a pod more and more slowly.
        """
        crashed = self.crash(namespace, selector)
        if crashed:
            self.kubectl.run("delete", "pod", "-n", namespace, "--grace-period=0", "--force", *crashed)
        return crashed

    def _node(self, pod: Mapping[str, Any]) -> KindNode:
        found = self.kubectl.json("get", "node", pod["spec"]["nodeName"])
        node = KindNode.of(found["spec"].get("providerID"))
        assert node is not None, f"{found['metadata']['name']} is no node of a kind cluster: its pods cannot be killed"
        return node

    def ready(self, namespace: str, selector: str, *, seconds: float = 180) -> None:
        """Wait until every pod of the selector that has not ended is Ready, and there is at least one."""

        def all_ready() -> bool:
            pods = [p for p in self.pods(namespace, selector) if _is_wanted(p)]
            return bool(pods) and all(_is_ready(pod) for pod in pods)

        self.eventually(all_ready, what=f"pods {selector} in {namespace} to be Ready", seconds=seconds)

    def eventually(self, probe: Callable[[], T | None], *, what: str, seconds: float = 60) -> T:
        """Wait for a truthy answer; errors that a cluster in motion makes count as "not yet"."""
        return eventually(probe, what, seconds=seconds, every=0.2, tolerate=UNSETTLED)


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _is_wanted(pod: Mapping[str, Any]) -> bool:
    """Not on its way out, and not a Job's that has done its work."""
    return not pod["metadata"].get("deletionTimestamp") and pod.get("status", {}).get("phase") != "Succeeded"
