"""Pods die at the worst moment, and every saga still ends whole or undone."""

from __future__ import annotations

import uuid

from tests.e2e.test_order_saga import faulty_definition, kept_of, unique
from tests.support.cluster import SYSTEM, Cluster
from tests.support.kubectl import KubectlError
from tests.support.shop import Scene

WHOLE = ["reservation", "payment", "order", "invoice"]
ENGINE = "app.kubernetes.io/component=engine"
PAYMENTS = "app.kubernetes.io/name=payments,app.kubernetes.io/component=service"


def payments_of(cluster: Cluster, saga_id: str) -> list[dict[str, object]]:
    return cluster.databases.rows("payments", f"SELECT kind FROM payments.entries WHERE saga_id = '{saga_id}'")


def copied_scene(cluster: Cluster) -> Scene:
    scene = cluster.shop.scene()
    cluster.eventually(
        lambda: cluster.shop.call("invoices", "GET", f"/customers/{scene.customer_id}").status == 200,
        what="the customer's copy in invoices",
    )
    return scene


def payments_is_back(cluster: Cluster) -> None:
    """The kubelet, not the killed pod, removes it from its Service: a route to it must recover, too."""
    cluster.ready(cluster.namespace, PAYMENTS)
    cluster.eventually(
        lambda: cluster.shop.call("payments", "GET", "/healthz").status == 200, what="payments to answer"
    )


def test_an_engine_killed_between_two_steps_ends_the_saga_whole(cluster: Cluster) -> None:
    """The second step is refused for some seconds, in which the engine dies: the saga is surely in the middle."""
    scene = copied_scene(cluster)
    definition = faulty_definition(
        cluster, "process-payment", "fail-before-commit; status=500; attempts=7", attempts=20
    )
    name = unique("killed")
    saga_id = cluster.start(name, scene.order(), definition=definition)
    reserved = f"SELECT 1 FROM inventory.reservations WHERE saga_id = '{saga_id}'"
    cluster.eventually(lambda: cluster.databases.rows("inventory", reserved), what="the first step's effect")
    assert cluster.kill(SYSTEM, ENGINE)
    assert payments_of(cluster, saga_id) == [], "the engine was to be killed between two steps"
    status = cluster.saga_ends(name)
    assert status["phase"] == "Succeeded", status
    assert kept_of(cluster, saga_id) == WHOLE
    assert len(payments_of(cluster, saga_id)) == 1


def test_a_participant_killed_before_its_commit_is_asked_again(cluster: Cluster) -> None:
    """It is killed during the first call, which leaves no effect; the next call reaches another process.

    The call takes far longer than a kill on a slow machine does, and no time-out cuts it off before that.
    """
    scene = copied_scene(cluster)
    definition = faulty_definition(
        cluster,
        "process-payment",
        "delay; seconds=60; attempts=1",
        attempts=30,
        timeouts={"attempt": "55s", "total": "300s"},
    )
    name = unique("before")
    saga_id = cluster.start(name, scene.order(), definition=definition)

    def is_asked() -> bool:
        steps = cluster.api("GET", f"/v1/sagas/{saga_id}").ok()["steps"]
        return any(step["name"] == "process-payment" and step.get("attempts") == 1 for step in steps)

    cluster.eventually(is_asked, what="the call that is to be cut off")
    assert cluster.kill(cluster.namespace, PAYMENTS)
    assert payments_of(cluster, saga_id) == [], "payments was to be killed before its commit"
    status = cluster.saga_ends(name)
    assert status["phase"] == "Succeeded", status
    assert kept_of(cluster, saga_id) == WHOLE
    assert [row["kind"] for row in payments_of(cluster, saga_id)] == ["capture"]
    payments_is_back(cluster)


def test_a_participant_killed_after_its_commit_is_not_charged_twice(cluster: Cluster) -> None:
    """It commits, its reply is lost, it dies; the next attempt meets another process and gets the stored reply."""
    scene = copied_scene(cluster)
    definition = faulty_definition(cluster, "process-payment", "fail-after-commit; status=500; attempts=1", attempts=12)
    name = unique("after")
    saga_id = cluster.start(name, scene.order(), definition=definition)
    cluster.eventually(lambda: payments_of(cluster, saga_id), what="the payment's commit")
    assert cluster.kill(cluster.namespace, PAYMENTS)
    status = cluster.saga_ends(name)
    assert status["phase"] in ("Succeeded", "Compensated"), status
    kinds = sorted(str(row["kind"]) for row in payments_of(cluster, saga_id))
    assert kinds == (["capture"] if status["phase"] == "Succeeded" else ["capture", "refund"])
    payments_is_back(cluster)


def test_a_saga_deleted_while_it_runs_is_undone_although_its_object_is_gone(cluster: Cluster) -> None:
    scene = copied_scene(cluster)
    before = cluster.shop.kept_of(scene)
    definition = faulty_definition(cluster, "process-payment", "delay; seconds=1.5", attempts=6)
    name = unique("deleted")
    saga_id = cluster.start(name, scene.order(), definition=definition)
    reserved = f"SELECT 1 FROM inventory.reservations WHERE saga_id = '{saga_id}'"
    cluster.eventually(lambda: cluster.databases.rows("inventory", reserved), what="the first step's effect")
    cluster.kubectl.run("delete", "saga", "-n", cluster.namespace, name)
    cluster.eventually(
        lambda: cluster.api("GET", f"/v1/sagas/{saga_id}").ok()["phase"] == "Compensated", what="the saga's end"
    )
    assert kept_of(cluster, saga_id) == []
    assert cluster.shop.kept_of(scene) == before


def test_an_operator_that_is_down_stops_no_saga_and_catches_up(cluster: Cluster) -> None:
    scene = copied_scene(cluster)
    cluster.kubectl.run("scale", "deploy", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator", "--replicas=0")
    try:
        body = {"definition": "create-order", "input": scene.order(), "idempotencyKey": str(uuid.uuid4())}
        view = cluster.api("POST", "/v1/namespaces/shop/sagas?wait=30s", body, timeout=40).ok()
        assert view["phase"] == "Succeeded", view
        name = unique("unattended")
        cluster.start(name, scene.order())
    finally:
        cluster.kubectl.run(
            "scale", "deploy", "-n", SYSTEM, "-l", "app.kubernetes.io/component=operator", "--replicas=1"
        )
    assert cluster.saga_ends(name)["phase"] == "Succeeded"


def test_a_killed_database_recovers_everything_that_it_acknowledged(cluster: Cluster) -> None:
    pod = cluster.databases.pod("orders")
    itself = f"statefulset.kubernetes.io/pod-name={pod}"
    customer = cluster.shop.customer()
    assert cluster.crash(cluster.namespace, itself) == [pod]
    cluster.eventually(
        lambda: "was not properly shut down" in cluster.kubectl.run("logs", "-n", cluster.namespace, pod),
        what="the database to come back from a crash",
    )
    cluster.ready(cluster.namespace, itself)
    path = f"/customers/{customer['id']}"
    cluster.eventually(lambda: cluster.shop.call("orders", "GET", path).status == 200, what="orders to serve again")
    assert cluster.shop.call("orders", "GET", path).ok()["version"] == customer["version"]


def test_one_database_down_leaves_the_other_services_serving(cluster: Cluster) -> None:
    """S4: invoices loses its database; the others read and write, and the order waits instead of failing."""
    scene = copied_scene(cluster)
    cluster.kubectl.run("scale", "statefulset", "-n", cluster.namespace, "invoices-postgres", "--replicas=0")
    try:
        cluster.eventually(
            lambda: cluster.shop.call("invoices", "GET", "/invoices").status == 503, what="invoices to answer 503"
        )
        assert cluster.shop.customer()["version"] == 1
        for service, path in (
            ("orders", "/orders"),
            ("inventory", "/stock"),
            ("shipping", "/customers"),
            ("payments", f"/payment-methods/{scene.payment_method}"),
        ):
            cluster.shop.call(service, "GET", path).ok()
        name = unique("patient")
        cluster.start(name, scene.order())
        placed = f"/orders?customerId={scene.customer_id}"
        cluster.eventually(
            lambda: len(cluster.shop.call("orders", "GET", placed).ok()) == 1, what="the first three steps"
        )
    finally:
        cluster.kubectl.run("scale", "statefulset", "-n", cluster.namespace, "invoices-postgres", "--replicas=1")
    cluster.ready(cluster.namespace, "app.kubernetes.io/name=invoices-postgres")
    status = cluster.saga_ends(name, seconds=150)
    saga_id = cluster.saga(name)["metadata"]["uid"]
    assert status["phase"] in ("Succeeded", "Compensated"), status
    assert kept_of(cluster, saga_id) == (WHOLE if status["phase"] == "Succeeded" else [])


def test_kubernetes_events_are_written_for_problems_that_need_a_person(cluster: Cluster) -> None:
    poor = cluster.shop.scene(balance="0.00")
    name = unique("told")
    cluster.start(name, poor.order())
    assert cluster.saga_ends(name)["phase"] == "Compensated"

    def told() -> bool:
        try:
            events = cluster.kubectl.items(
                "events", "-n", cluster.namespace, "--field-selector", f"involvedObject.name={name}"
            )
        except KubectlError:
            return False
        return bool(events)

    cluster.eventually(told, what="an Event on the undone Saga")
