"""Limits of the pods, roles and objects of the running cluster. The tests of the charts check the rendered ones."""

from __future__ import annotations

import base64
import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_order_saga import unique
from tests.support.cluster import SHOP, SYSTEM, Cluster
from tests.support.http import call
from tests.support.kubectl import KubectlError
from tests.support.services import SERVICES

CONNECT = "http://127.0.0.1:18087"
SHORTEST_SECRET = 12
# Kinds that people and programs can read without the right to read Secrets.
OPEN_KINDS = (
    "pods,deployments,statefulsets,jobs,replicasets,configmaps,services,events,persistentvolumeclaims,"
    "participants,sagadefinitions,sagas,outboxes,replicas"
)
GRANTED_TO_OTHERS = """
    SELECT grantee, table_name FROM information_schema.role_table_grants
     WHERE table_schema = '{service}'
       AND grantee NOT IN ('{service}', '{service}_capture', '{service}_serving', 'postgres')
"""
VIEWS_OVER_OTHERS = """
    SELECT view_schema, table_schema FROM information_schema.view_table_usage
     WHERE view_schema NOT IN ('pg_catalog', 'information_schema') AND table_schema <> view_schema
"""
FOREIGN_SERVERS = "SELECT extname FROM pg_extension WHERE extname IN ('dblink', 'postgres_fdw')"


def pods_of(cluster: Cluster) -> Iterator[dict[str, Any]]:
    for namespace in (SYSTEM, SHOP):
        yield from cluster.kubectl.items("pods", "-n", namespace)


def containers_of(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]


@pytest.mark.parametrize("namespace", [SYSTEM, SHOP])
def test_the_api_server_refuses_a_pod_that_is_not_restricted(cluster: Cluster, namespace: str) -> None:
    """Pod Security's highest level is enforced where we run, so whatever runs there keeps to it."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "not-restricted", "namespace": namespace},
        "spec": {"containers": [{"name": "root", "image": "any"}]},
    }
    with pytest.raises(KubectlError, match='violates PodSecurity "restricted:latest"'):
        cluster.kubectl.run("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_pods_share_nothing_with_the_node_and_are_confined(cluster: Cluster) -> None:
    for pod in pods_of(cluster):
        spec, name = pod["spec"], pod["metadata"]["name"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & {key for key, value in spec.items() if value}, name
        assert not [volume["name"] for volume in spec.get("volumes", []) if "hostPath" in volume], name
        profile = spec["securityContext"]["seccompProfile"]["type"]
        assert profile == "RuntimeDefault", name
        for container in containers_of(pod):
            assert not container["securityContext"].get("capabilities", {}).get("add"), name
            assert "memory" in container["resources"]["limits"], name


def test_only_operator_and_engine_hold_a_token_of_the_api_server(cluster: Cluster) -> None:
    holders = {
        pod["metadata"]["labels"].get("app.kubernetes.io/component")
        for pod in pods_of(cluster)
        if any("serviceAccountToken" in json.dumps(volume) for volume in pod["spec"].get("volumes", []))
    }
    assert holders == {"operator", "engine"}


def test_no_role_has_a_wildcard_and_no_account_is_cluster_admin(cluster: Cluster) -> None:
    """Also not in sum: what the API server lets the two accounts do, whatever grants it."""
    accounts = {
        f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"
        for namespace in (SYSTEM, SHOP)
        for account in cluster.kubectl.items("serviceaccounts", "-n", namespace)
    }
    assert len(accounts) >= 4
    for account, (verb, what) in itertools.product(accounts, (("*", "*"), ("list", "secrets"), ("create", "pods"))):
        assert not cluster.kubectl.may(verb, what, account), f"{account} may {verb} {what}"
    for binding in cluster.kubectl.items("clusterrolebindings"):
        if binding["roleRef"]["name"] == "cluster-admin":
            assert not [s for s in binding.get("subjects", []) if s.get("namespace") in (SYSTEM, SHOP)]


def generated_secrets(cluster: Cluster) -> dict[str, str]:
    """Every password and token of the installation, by where it is kept."""
    found = {}
    for namespace in (SYSTEM, SHOP):
        for secret in cluster.kubectl.items("secrets", "-n", namespace, "--field-selector", "type=Opaque"):
            for key, value in secret.get("data", {}).items():
                text = base64.b64decode(value).decode()
                if key.endswith(("password", "token")) and len(text) >= SHORTEST_SECRET:
                    found[f"{namespace}/{secret['metadata']['name']}/{key}"] = text
    return found


def leaks(secrets: dict[str, str], text: str) -> list[str]:
    """The places of those secrets that the text contains, plain or as base64; never the secrets themselves."""
    return [
        where
        for where, secret in secrets.items()
        if secret in text or base64.b64encode(secret.encode()).decode() in text
    ]


def test_no_credential_is_anywhere_but_in_a_secret(cluster: Cluster) -> None:
    """Search objects with their status, logs and the replies of Connect, after an order that was refused."""
    secrets = generated_secrets(cluster)
    assert len(secrets) > 2 * len(SERVICES)
    name = unique("open")
    cluster.start(name, cluster.shop.scene(balance="0.00").order())
    assert cluster.saga_ends(name)["phase"] == "Compensated"
    for namespace in (SYSTEM, SHOP):
        objects = cluster.kubectl.run("get", OPEN_KINDS, "-n", namespace, "-o", "yaml")
        assert leaks(secrets, objects) == [], f"in objects of {namespace}"
    for pod in pods_of(cluster):
        place = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if pod["status"]["phase"] == "Running":
            log = cluster.kubectl.run("logs", "-n", *place, "--all-containers", "--tail=20000")
            assert leaks(secrets, log) == [], f"in the log of {place[1]}"
    connectors = call("GET", f"{CONNECT}/connectors?expand=info&expand=status").ok()
    assert connectors
    assert leaks(secrets, json.dumps(connectors)) == []


def test_no_environment_names_a_credential_in_plain(cluster: Cluster) -> None:
    for pod in pods_of(cluster):
        for container in containers_of(pod):
            for entry in container.get("env", []):
                secret = any(word in entry["name"] for word in ("PASSWORD", "TOKEN", "DATABASE_URL", "JOURNAL_URL"))
                as_file = entry["name"].endswith(("_FILE", "_DIR"))
                assert not secret or as_file or "secretKeyRef" in entry.get("valueFrom", {}), entry["name"]


def test_the_api_asks_for_its_token(cluster: Cluster) -> None:
    url = "http://127.0.0.1:18080/v1/sagas?limit=1"
    assert call("GET", url).status == 401
    assert call("GET", url, headers={"Authorization": "Bearer guessed"}).status == 401


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_checks_its_callers(cluster: Cluster, service: str) -> None:
    """Without a token 401, with the token of another caller or service no access. Probes need none."""
    address = cluster.shop.urls[service]
    operation = f"{address}/operations/{uuid.uuid4()}/a-step/action"
    other = next(name for name in SERVICES if name != service)
    engine, backoffice = (cluster.kubectl.secret(f"{service}-callers", SHOP)[name] for name in ("engine", "backoffice"))
    elsewhere = cluster.kubectl.secret(f"{other}-callers", SHOP)["engine"]
    expected = {None: 401, "guessed-by-a-stranger": 401, elsewhere: 401, backoffice: 403, engine: 200}
    for token, status in expected.items():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert call("GET", operation, headers=headers).status == status
    assert call("GET", f"{address}/readyz").status == 200


@pytest.mark.parametrize("service", SERVICES)
def test_no_grant_view_or_foreign_server_crosses_a_service(cluster: Cluster, service: str) -> None:
    """S13; foreign keys are looked at in test_isolation."""
    assert cluster.databases.rows(service, GRANTED_TO_OTHERS.format(service=service)) == []
    assert cluster.databases.rows(service, VIEWS_OVER_OTHERS) == []
    assert cluster.databases.rows(service, FOREIGN_SERVERS) == []


def test_the_journal_is_closed_to_services_and_has_no_two_phase_commit(cluster: Cluster) -> None:
    """S36 for the engine: it undoes, it does not hold locks in other people's databases."""
    url = cluster.kubectl.secret("kompensa-postgres-kompensa", SYSTEM)["url"]
    journal = cluster.pods(SYSTEM, "app.kubernetes.io/name=kompensa-postgres")[0]["metadata"]["name"]
    ask = ("psql", "-XAtc", "SHOW max_prepared_transactions")
    assert cluster.kubectl.execute(SYSTEM, journal, *ask[:1], url, *ask[1:]).strip() == "0"
    roles = cluster.kubectl.execute(SYSTEM, journal, "psql", "-XAtc", "SELECT rolname FROM pg_roles WHERE rolcanlogin")
    assert not set(SERVICES) & set(roles.split())
