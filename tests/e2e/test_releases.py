"""Helm on a cluster in use: upgrades on live data, `helm test`, and an uninstall that leaves data and kinds.

The last test takes the whole installation away and brings it back.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.e2e.test_copies import copy_of
from tests.e2e.test_crashes import WHOLE, copied_scene
from tests.e2e.test_order_saga import KEPT, kept_of, unique
from tests.support.cluster import ENDED, SHOP, SYSTEM, Cluster
from tests.support.helm import Helm, laid_over
from tests.support.kubectl import KubectlError
from tests.support.services import SERVICES
from tests.support.shop import Scene

pytestmark = pytest.mark.timeout(600, func_only=True)

NAMESPACES = {"backbone": SYSTEM, "kompensa": SYSTEM, "shop": SHOP}
KINDS = ("participants", "sagadefinitions", "sagas", "outboxes", "replicas")
CHANGES: dict[str, dict[str, Any]] = {
    "kompensa": {
        "engine": {"replicas": 2, "logLevel": "debug", "resources": {"requests": {"memory": "136Mi"}}},
        "operator": {"logLevel": "debug"},
    },
    "shop": {"services": {"orders": {"logLevel": "debug", "resources": {"limits": {"memory": "264Mi"}}}}},
}


@pytest.fixture(scope="module")
def helm(cluster: Cluster) -> Helm:
    return Helm(cluster.environment)


@contextmanager
def orders(cluster: Cluster, scene: Scene) -> Iterator[dict[str, str]]:
    """An order a second for as long as the block runs: name -> the saga's id."""
    placed: dict[str, str] = {}
    enough = threading.Event()

    def place() -> None:
        while not enough.wait(1):
            name = unique("upgrade")
            placed[name] = cluster.start(name, scene.order())

    thread = threading.Thread(target=place)
    thread.start()
    try:
        yield placed
    finally:
        enough.set()
        thread.join()


@pytest.mark.parametrize("release", CHANGES)
def test_an_upgrade_with_changed_values_loses_no_running_saga(cluster: Cluster, helm: Helm, release: str) -> None:
    namespace, scene = NAMESPACES[release], copied_scene(cluster)
    before = helm.values(release, namespace)
    logins = secrets_of(cluster)
    with orders(cluster, scene) as placed:
        helm.upgrade(release, namespace, laid_over(before, CHANGES[release]))
        changed = {name: level_and_replicas(cluster, name) for name in changed_deployments(release)}
        helm.rollback(release, namespace)
    assert all(found == expected for found, expected in changed.values()), changed
    assert secrets_of(cluster) == logins, "every login is as it was"
    assert helm.values(release, namespace) == before
    phases = cluster.eventually(lambda: how_all_ended(cluster, placed.keys()), what="every order to end")
    assert phases["Succeeded"] + phases["Compensated"] == len(placed), phases
    assert phases["Succeeded"], "a machine too slow for any order shows nothing"
    kept = kept_by_all(cluster, placed.values())
    assert kept == dict.fromkeys(WHOLE, phases["Succeeded"]), "each whole and once, or nothing of it"


def how_all_ended(cluster: Cluster, names: Collection[str]) -> Counter[str] | None:
    """How many ended how; None while one has not."""
    sagas = cluster.kubectl.items("sagas", "-n", SHOP)
    phases = Counter(saga.get("status", {}).get("phase") for saga in sagas if saga["metadata"]["name"] in names)
    return phases if phases.total() == len(names) and set(phases) <= set(ENDED) else None


def kept_by_all(cluster: Cluster, sagas: Iterable[str]) -> dict[str, int]:
    """How many reservations, payments, orders and invoices stand of these sagas."""
    wanted = f"= ANY('{{{','.join(sagas)}}}')"
    return {
        kind: len(cluster.databases.rows(service, query.replace("= '{saga}'", wanted)))
        for kind, (service, query) in KEPT.items()
    }


def changed_deployments(release: str) -> dict[str, tuple[str, int]]:
    """namespace/name -> log level and pods after the upgrade."""
    if release == "shop":
        return {f"{SHOP}/orders": ("debug", 1), f"{SHOP}/payments": ("info", 1)}
    return {f"{SYSTEM}/kompensa-engine": ("debug", 2), f"{SYSTEM}/kompensa-operator": ("debug", 1)}


def level_and_replicas(cluster: Cluster, place: str) -> tuple[tuple[str, int], tuple[str, int]]:
    """Log level and ready pods of a Deployment, as they are and as they should be."""
    namespace, name = place.split("/")
    deployment = cluster.kubectl.json("get", "deployment", "-n", namespace, name)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    level = next(entry["value"] for entry in container["env"] if entry["name"] == "LOG_LEVEL")
    expected = {**changed_deployments("shop"), **changed_deployments("kompensa")}[place]
    return (level, deployment["status"]["readyReplicas"]), expected


def secrets_of(cluster: Cluster) -> dict[str, dict[str, str]]:
    """Logins and tokens as they are in the cluster."""
    found = {}
    for namespace in (SYSTEM, SHOP):
        for secret in cluster.kubectl.items("secrets", "-n", namespace, "--field-selector", "type=Opaque"):
            found[f"{namespace}/{secret['metadata']['name']}"] = secret.get("data", {})
    return found


@pytest.mark.parametrize("release", NAMESPACES)
def test_helm_test_passes(helm: Helm, release: str) -> None:
    said = helm.test(release, NAMESPACES[release])
    assert "Phase:          Succeeded" in said


CRM = "crm"
DATABASE = {"databases": [{"database": "crm"}], "resources": {"requests": {"memory": "64Mi"}}}


def test_a_database_of_its_own_is_installed_left_and_found_again(cluster: Cluster, helm: Helm) -> None:
    """The chart postgres alone: an uninstall leaves volume and login unless a value says not to keep them."""
    values = {**DATABASE, "image": helm.values("shop", SHOP)["postgres"]["image"]}
    try:
        helm.upgrade("crm", CRM, values, chart="postgres")
        assert "Phase:          Succeeded" in helm.test("crm", CRM)
        login = cluster.kubectl.secret("crm-postgres-crm", CRM)
        query(cluster, login, "CREATE TABLE notes AS SELECT 'kept' AS text")
        helm.uninstall("crm", CRM)
        kept = {"persistentvolumeclaim/crm-postgres-data", *SECRETS}
        cluster.eventually(lambda: left(cluster) == kept, what="all except volume and logins to be gone")
        helm.upgrade("crm", CRM, laid_over(values, {"storage": {"keep": False}}), chart="postgres")
        assert cluster.kubectl.secret("crm-postgres-crm", CRM) == login
        assert query(cluster, login, "SELECT text FROM notes") == "kept"
        helm.uninstall("crm", CRM)
        cluster.eventually(lambda: left(cluster) == set(), what="volume and login to be gone, as asked")
    finally:
        cluster.kubectl.run("delete", "namespace", CRM, "--ignore-not-found", "--timeout=120s", timeout=130)


SECRETS = {"secret/crm-postgres-crm", "secret/crm-postgres-superuser"}


def left(cluster: Cluster) -> set[str]:
    """Objects of the release that still exist, without Helm's own record and Kubernetes' own ConfigMap."""
    kinds = "pods,statefulsets,services,jobs,persistentvolumeclaims,secrets"
    selector = ("-l", "app.kubernetes.io/instance=crm")
    return set(cluster.kubectl.run("get", kinds, "-n", CRM, *selector, "-o", "name").split())


def query(cluster: Cluster, login: dict[str, str], statement: str) -> str:
    ready = "app.kubernetes.io/name=crm-postgres,app.kubernetes.io/component=postgres"
    cluster.ready(CRM, ready)
    pod = cluster.pods(CRM, ready)[0]["metadata"]["name"]
    cluster.eventually(partial(is_reached, cluster, pod, login["url"]), what="the new Service to have its endpoint")
    return cluster.kubectl.execute(CRM, pod, "psql", login["url"], "-XqAtc", statement).strip()


def is_reached(cluster: Cluster, pod: str, url: str) -> bool:
    """Whether the Service leads to the pod; it refuses connections until the node knows of its endpoint."""
    try:
        cluster.kubectl.execute(CRM, pod, "pg_isready", "-q", "-d", url)
    except KubectlError:
        return False
    return True


def test_everything_taken_away_and_brought_back_is_as_it_was(cluster: Cluster, helm: Helm) -> None:
    """Kinds, Sagas, the Outbox, volumes and logins stay; the journal still knows what ran, and all works again."""
    scene, name = copied_scene(cluster), unique("survivor")
    saga_id = cluster.start(name, scene.order())
    assert cluster.saga_ends(name)["phase"] == "Succeeded"
    parked = unique("patient")
    cluster.start(parked, scene.order(), suspend=True)
    cluster.eventually(lambda: cluster.saga(parked).get("status", {}).get("phase") == "Suspended", what="it to wait")
    values = {release: helm.values(release, namespace) for release, namespace in NAMESPACES.items()}
    logins, claims = secrets_of(cluster), claims_of(cluster)
    for release in ("shop", "kompensa"):
        helm.uninstall(release, NAMESPACES[release])
    assert_only_data_is_left(cluster, claims, name)
    for release in ("kompensa", "shop"):
        helm.upgrade(release, NAMESPACES[release], values[release])
    assert secrets_of(cluster) == logins
    cluster.eventually(
        lambda: cluster.api("GET", f"/v1/sagas/{saga_id}").ok()["phase"] == "Succeeded", what="the journal's memory"
    )
    assert kept_of(cluster, saga_id) == WHOLE
    cluster.kubectl.run("patch", "saga", "-n", SHOP, parked, "--type=merge", "-p", '{"spec":{"suspend":false}}')
    assert cluster.saga_ends(parked)["phase"] == "Succeeded", "a saga that was under way goes on"
    everything_works(cluster)


def claims_of(cluster: Cluster) -> dict[str, str]:
    """Each claim and the volume behind it."""
    found = {}
    for namespace in (SYSTEM, SHOP):
        for claim in cluster.kubectl.items("persistentvolumeclaims", "-n", namespace):
            found[f"{namespace}/{claim['metadata']['name']}"] = claim["spec"]["volumeName"]
    return found


def assert_only_data_is_left(cluster: Cluster, claims: dict[str, str], saga_name: str) -> None:
    assert claims_of(cluster) == claims
    assert cluster.saga(saga_name)["status"]["phase"] in ENDED
    for kind in KINDS:
        cluster.kubectl.run("get", "crd", f"{kind}.kompensa.dev")
    outbox = cluster.kubectl.json("get", "outbox", "-n", SHOP, "orders")
    assert "deletionTimestamp" not in outbox["metadata"]
    running = cluster.kubectl.run("get", "deployments,statefulsets,services", "-n", SHOP, "-o", "name")
    assert running.split() == []


def everything_works(cluster: Cluster) -> None:
    for what in ("outbox/orders", "replica/invoices-customers", "replica/shipping-customers"):
        cluster.kubectl.wait(what, "Ready", namespace=SHOP, seconds=150)
    customer = cluster.shop.customer()["id"]
    for service in ("invoices", "shipping"):
        cluster.eventually(partial(copy_of, cluster, service, customer), what=f"a new customer in {service}")
    name = unique("again")
    saga_id = cluster.start(name, copied_scene(cluster).order())
    assert cluster.saga_ends(name)["phase"] == "Succeeded"
    assert kept_of(cluster, saga_id) == WHOLE
    for service in SERVICES:
        cluster.shop.call(service, "GET", "/openapi.json").ok()
