"""The charts installed, upgraded and removed by Helm on a real API server, which checks and stores every object.

No pods run here; what they do is tested on a cluster. Everything that the API server itself decides is real: schemas,
admission by the Pod Security Standard "restricted", ownership, what an upgrade changes and an uninstall leaves.
"""

import base64
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from charts.tests.program import found
from charts.tests.rendering import CHARTS, ENVIRONMENT
from kompensa_dev.ports import Ports
from kompensa_dev.run import Run
from tests.integration.apiserver import ADMIN, ApiServer, built

pytestmark = pytest.mark.integration

RELEASES = {"backbone": "kompensa-system", "kompensa": "kompensa-system", "shop": "shop"}
KEPT = ("secret", "persistentvolumeclaim")


@dataclass(frozen=True)
class Releases:
    """Helm, speaking to one API server."""

    program: str
    server: ApiServer

    def install(self, chart: str, *arguments: str) -> str:
        """`helm upgrade --install`, as `make up` does; what it said, warnings included."""
        # Without the flag, an upgrade that is given no values takes those of the last one.
        fixed = ("upgrade", "--install", "--reset-values", chart, str(CHARTS / chart))
        return self._helm(*fixed, *arguments, chart=chart)

    def uninstall(self, chart: str) -> str:
        return self._helm("uninstall", chart, chart=chart)

    def notes(self, chart: str) -> str:
        return self._helm("get", "notes", chart, chart=chart)

    def _helm(self, *arguments: str, chart: str) -> str:
        folder = self.server.folder / "helm"
        folders = {f"HELM_{kind}_HOME": str(folder / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [self.program, *arguments, "--kubeconfig", str(self.server.kubeconfig(ADMIN)), "-n", RELEASES[chart]],
            env={**ENVIRONMENT, **folders},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def secrets(self, namespace: str) -> dict[str, dict[str, str]]:
        """Data of the charts' Secrets by name; those in which Helm keeps its releases aside."""
        found = self.server.get("secrets", "-n", namespace)["items"]
        return {s["metadata"]["name"]: s.get("data", {}) for s in found if s["type"] == "Opaque"}


@pytest.fixture(scope="module")
def releases() -> Iterator[Releases]:
    """All charts, installed in order into namespaces that admit restricted pods only."""
    with Run.open() as run:  # a server of its own: the other tests' has the kinds already, and not from Helm
        server = built(run, Ports())
        server.start()
        for namespace in set(RELEASES.values()):
            server.kubectl("create", "namespace", namespace)
            for mode in ("enforce", "warn"):
                server.kubectl("label", "namespace", namespace, f"pod-security.kubernetes.io/{mode}=restricted")
        helm = Releases(str(found(run.logs / "helm.log").program), server)
        for chart in RELEASES:
            assert "PodSecurity" not in helm.install(chart)
        yield helm


def test_the_api_server_takes_every_object_and_warns_of_nothing(releases: Releases) -> None:
    said = [releases.install(chart, "--values", str(CHARTS / chart / "values-demo.yaml")) for chart in RELEASES]
    assert not [line for text in said for line in text.splitlines() if "warning" in line.lower()]
    kinds = "participants,sagadefinitions,outboxes,replicas"
    assert len(releases.server.get(kinds, "-n", "shop")["items"]) == 17


@pytest.mark.parametrize("chart", RELEASES)
def test_the_notes_name_the_next_command(releases: Releases, chart: str) -> None:
    notes = releases.notes(chart)
    assert f"helm test {chart} -n {RELEASES[chart]}" in notes
    assert "kubectl" in notes


def test_an_upgrade_keeps_every_login(releases: Releases) -> None:
    before = {namespace: releases.secrets(namespace) for namespace in RELEASES.values()}
    assert before["shop"]["orders-postgres"]["password"]
    for chart in RELEASES:
        releases.install(chart)
    assert {namespace: releases.secrets(namespace) for namespace in RELEASES.values()} == before


def test_an_upgrade_keeps_the_logins_that_the_operator_wrote_for_connect(releases: Releases) -> None:
    written = base64.b64encode(b"secret").decode()
    patch = f'{{"data":{{"shop.orders.password":"{written}"}}}}'
    name = "kompensa-capture-credentials"
    releases.server.kubectl("patch", "secret", name, "-n", "kompensa-system", "--type=merge", "-p", patch)
    releases.install("backbone", "--set", "connect.nodePort=30087")
    assert releases.secrets("kompensa-system")[name] == {"shop.orders.password": written}


def test_a_deleted_login_is_recreated_and_the_others_stay(releases: Releases) -> None:
    before = releases.secrets("shop")
    releases.server.kubectl("delete", "secret", "payments-postgres", "-n", "shop")
    releases.install("shop")
    after = releases.secrets("shop")
    assert {name for name in before if before[name] != after[name]} == {"payments-postgres"}


def test_changed_values_reach_live_objects(releases: Releases) -> None:
    def generations() -> dict[str, int]:
        items = releases.server.get("deployments,statefulsets", "-n", "shop")["items"]
        return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["generation"] for item in items}

    releases.install("shop")
    before = generations()
    releases.install("shop", "--set", "services.orders.replicas=3", "--set", "services.orders.pool.max=20")
    after = generations()
    assert {name for name in after if after[name] != before[name]} == {"Deployment/orders"}
    assert releases.server.get("deployment", "orders", "-n", "shop")["spec"]["replicas"] == 3


def test_an_uninstall_leaves_data_logins_and_kinds_and_an_install_finds_them(releases: Releases) -> None:
    server = releases.server
    before = {chart: releases.secrets(namespace) for chart, namespace in RELEASES.items()}
    claims = server.kubectl("get", "pvc", "-A", "-o", "name")
    saga = {
        "apiVersion": "kompensa.dev/v1alpha1",
        "kind": "Saga",
        "metadata": {"name": "kept", "namespace": "shop"},
        "spec": {"definitionRef": {"name": "create-order"}},
    }
    server.apply(saga)
    for chart in reversed(RELEASES):
        releases.uninstall(chart)
    assert not server.get("deployments,statefulsets,jobs,services", "-n", "shop")["items"]
    assert server.kubectl("get", "pvc", "-A", "-o", "name") == claims
    assert server.get("saga", "kept", "-n", "shop")
    for chart in RELEASES:
        releases.install(chart)
    assert {chart: releases.secrets(namespace) for chart, namespace in RELEASES.items()} == before
