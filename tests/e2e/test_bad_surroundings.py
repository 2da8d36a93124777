"""Events that do not fit and addresses that do not answer: the object shows them, and nothing else stops."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.e2e.test_copies import copy_of
from tests.e2e.test_crashes import copied_scene
from tests.e2e.test_order_saga import unique
from tests.support.cluster import SHOP, SYSTEM, Cluster

# Nothing listens on port 1 of a pod.
NOWHERE = "127.0.0.1:1"
PASSWORD = "not-to-be-told"
LOGIN = {
    "host": "127.0.0.1",
    "port": "1",
    "database": "nothing",
    "username": "nobody",
    "password": PASSWORD,
    "url": f"postgresql://nobody:{PASSWORD}@{NOWHERE}/nothing",
}
OPERATOR, ENGINE = "deployment/kompensa-operator", "deployment/kompensa-engine"


def secret(name: str, values: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": SHOP}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "stringData": values}


def replica(name: str, *, topic: str, database: str, table: str) -> dict[str, Any]:
    target = {"table": table, "keyColumn": "probe_id", "versionColumn": "version", "columns": [{"name": "word"}]}
    return {
        "apiVersion": "kompensa.dev/v1alpha1",
        "kind": "Replica",
        "metadata": {"name": name, "namespace": SHOP},
        "spec": {
            "source": {"topics": [topic]},
            "target": {**target, "databaseSecretRef": {"name": database}},
            "eventSchema": {"type": "object", "required": ["word"], "properties": {"word": {"type": "string"}}},
            "onDelete": "Delete",
        },
    }


def publish(cluster: Cluster, event_type: str, key: str, version: int, payload: dict[str, Any]) -> None:
    """An event as orders would write it, with orders' own login."""
    cluster.databases.execute(
        "orders",
        "INSERT INTO orders.outbox (id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version,"
        f" payload) VALUES ('{uuid.uuid4()}', 'probe', '{key}', {version}, '{event_type}', '1.0',"
        f" '{json.dumps(payload)}')",
    )


def order_succeeds(cluster: Cluster, order: dict[str, Any]) -> None:
    name = unique("meanwhile")
    cluster.start(name, order)
    status = cluster.saga_ends(name)
    assert status["phase"] == "Succeeded", status


@pytest.fixture
def probes(cluster: Cluster) -> Iterator[str]:
    """An event type of its own with a copy in shipping; the copy's table and Replica are named after it too."""
    name = unique("probe")
    table = f"shipping.{name.replace('-', '_')}"
    cluster.databases.execute(
        "shipping", f"CREATE TABLE {table} (probe_id uuid PRIMARY KEY, version bigint NOT NULL, word text NOT NULL)"
    )
    publish(cluster, name, str(uuid.uuid4()), 1, {"word": "makes the topic"})
    cluster.kubectl.apply(replica(name, topic=f"orders.{name}", database="shipping-postgres", table=table))
    yield name
    cluster.kubectl.run("delete", "replica", "-n", SHOP, name)
    cluster.databases.execute("shipping", f"DROP TABLE {table}")


def test_an_event_that_does_not_fit_is_parked_until_a_newer_one_does_and_the_others_go_on(
    cluster: Cluster, probes: str
) -> None:
    bad, good = str(uuid.uuid4()), str(uuid.uuid4())
    publish(cluster, probes, bad, 1, {"wrod": "?"})
    publish(cluster, probes, good, 1, {"word": "fits"})
    table = f"shipping.{probes.replace('-', '_')}"
    cluster.eventually(
        lambda: cluster.databases.rows("shipping", f"SELECT word FROM {table} WHERE probe_id = '{good}'"),
        what="the event that fits to be applied",
        seconds=90,
    )
    what = f"replica/{probes}"
    cluster.kubectl.wait(what, "Stalled", namespace=SHOP)
    stalled = cluster.condition(what, "Stalled")
    assert stalled["reason"] == "KeysParked"
    assert bad in stalled["message"]
    assert "word" in stalled["message"]
    status = cluster.kubectl.json("get", "-n", SHOP, what)["status"]
    assert status["parkedKeys"] == 1
    assert cluster.condition(what, "Ready")["status"] == "True", "it follows all others"
    assert cluster.condition("replica/shipping-customers", "Ready")["reason"] == "Following"
    publish(cluster, probes, bad, 2, {"word": "mended"})
    cluster.eventually(
        lambda: cluster.kubectl.json("get", "-n", SHOP, what)["status"]["parkedKeys"] == 0,
        what="the newer event to supersede the parked one",
        seconds=90,
    )
    mended = cluster.databases.rows("shipping", f"SELECT word FROM {table} WHERE probe_id = '{bad}'")
    assert mended == [{"word": "mended"}]


def test_an_outbox_of_a_database_that_does_not_answer_says_which(cluster: Cluster) -> None:
    name = unique("nowhere")
    cluster.kubectl.apply(secret(name, LOGIN))
    spec = {
        "databaseSecretRef": {"name": name},
        "captureSecretRef": {"name": name},
        "table": "orders.outbox",
        "topicPrefix": "orders",
        "events": ["customer-created"],
    }
    metadata = {"name": name, "namespace": SHOP}
    what = f"outbox/{name}"
    cluster.kubectl.apply({"apiVersion": "kompensa.dev/v1alpha1", "kind": "Outbox", "metadata": metadata, "spec": spec})
    ready = cluster.eventually(lambda: cluster.said(what, "Ready", "DatabaseUnusable"), what="the condition")
    assert NOWHERE in ready["message"]
    assert PASSWORD not in json.dumps(cluster.kubectl.json("get", "-n", SHOP, what))
    assert cluster.condition("outbox/orders", "Ready")["status"] == "True"
    # Without its login nothing can be taken down, and there is nothing to wait for.
    cluster.kubectl.run("delete", "secret", "-n", SHOP, name)
    cluster.kubectl.run("delete", "-n", SHOP, what, "--timeout=60s", timeout=70)


def test_a_replica_of_a_database_that_does_not_answer_says_which(cluster: Cluster) -> None:
    name = unique("nowhere")
    cluster.kubectl.apply(
        [secret(name, LOGIN), replica(name, topic="orders.customer-created", database=name, table="x.y")]
    )
    ready = cluster.eventually(
        lambda: cluster.said(f"replica/{name}", "Ready", "WorkerNotReady"), what="the condition", seconds=90
    )
    assert NOWHERE in ready["message"] or ("127.0.0.1" in ready["message"] and "port 1" in ready["message"])
    assert PASSWORD not in json.dumps(cluster.kubectl.json("get", "-n", SHOP, f"replica/{name}"))
    customer = cluster.shop.customer()["id"]
    for service in ("invoices", "shipping"):
        cluster.eventually(partial(copy_of, cluster, service, customer), what=f"a copy in {service}")
    cluster.kubectl.run("delete", "-n", SHOP, f"replica/{name}", f"secret/{name}")


@contextmanager
def told(cluster: Cluster, deployment: str, variable: str, value: str) -> Iterator[None]:
    """The operator with another value in its environment, as other values of the chart would give it."""
    (container,) = cluster.kubectl.json("get", "-n", SYSTEM, deployment)["spec"]["template"]["spec"]["containers"]
    before = next(entry["value"] for entry in container["env"] if entry["name"] == variable)
    try:
        set_environment(cluster, deployment, f"{variable}={value}")
        yield
    finally:
        set_environment(cluster, deployment, f"{variable}={before}")


def set_environment(cluster: Cluster, deployment: str, setting: str) -> None:
    cluster.kubectl.run("set", "env", "-n", SYSTEM, deployment, setting)
    cluster.kubectl.run("rollout", "status", "-n", SYSTEM, deployment, "--timeout=120s", timeout=130)


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("KOMPENSA_CONNECT_URL", f"http://{NOWHERE}", "ConnectUnusable"),
        ("KOMPENSA_KAFKA", NOWHERE, "KafkaUnusable"),
    ],
)
def test_a_wrong_address_of_kafka_or_connect_is_reported_on_the_outbox_and_sagas_go_on(
    cluster: Cluster, variable: str, value: str, reason: str
) -> None:
    scene = copied_scene(cluster)
    with told(cluster, OPERATOR, variable, value):
        ready = cluster.eventually(
            lambda: cluster.said("outbox/orders", "Ready", reason), what="the Outbox's condition", seconds=90
        )
        assert NOWHERE in ready["message"]
        order_succeeds(cluster, scene.order())
    cluster.eventually(lambda: cluster.said("outbox/orders", "Ready", "Capturing"), what="capture again", seconds=90)
    for name in ("invoices-customers", "shipping-customers"):
        cluster.eventually(partial(cluster.said, f"replica/{name}", "Ready", "Following"), what=name, seconds=120)


def test_an_engine_with_a_wrong_journal_never_takes_over_from_one_that_works(cluster: Cluster) -> None:
    scene = copied_scene(cluster)
    old = {pod["metadata"]["name"] for pod in cluster.pods(SYSTEM, "app.kubernetes.io/component=engine")}
    cluster.kubectl.run("set", "env", "-n", SYSTEM, ENGINE, f"KOMPENSA_JOURNAL_URL={LOGIN['url']}")
    try:
        log = cluster.eventually(
            lambda: said_by_the_new_engine(cluster, old), what="the new engine to say what is wrong"
        )
        assert PASSWORD not in log
        order_succeeds(cluster, scene.order())
    finally:
        cluster.kubectl.run("rollout", "undo", "-n", SYSTEM, ENGINE)
        cluster.kubectl.run("rollout", "status", "-n", SYSTEM, ENGINE, "--timeout=120s", timeout=130)


def said_by_the_new_engine(cluster: Cluster, old: set[str]) -> str | None:
    new = [
        pod for pod in cluster.pods(SYSTEM, "app.kubernetes.io/component=engine") if pod["metadata"]["name"] not in old
    ]
    if not new:
        return None
    log = cluster.kubectl.run("logs", "-n", SYSTEM, new[0]["metadata"]["name"])
    return log if f"PostgreSQL at {NOWHERE}/nothing cannot be reached" in log else None
