"""The order of the seed on the cluster: it succeeds whole, and whatever fails, nothing is kept (S48, S49)."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.shop import PASSPORT, Scene

STEPS = ("reserve-inventory", "process-payment", "create-order", "issue-invoice")
FAULTS = ("refuse; status=422", "fail-before-commit; status=500", "fail-after-commit; status=500")
KEPT = {
    "reservation": (
        "inventory",
        "SELECT 1 FROM inventory.reservations WHERE saga_id = '{saga}' AND status <> 'released'",
    ),
    "payment": ("payments", "SELECT 1 FROM payments.payments WHERE saga_id = '{saga}' AND captured > refunded"),
    "order": ("orders", "SELECT 1 FROM orders.orders WHERE saga_id = '{saga}' AND status <> 'cancelled'"),
    "invoice": ("invoices", "SELECT 1 FROM invoices.invoices WHERE saga_id = '{saga}' AND status <> 'cancelled'"),
}


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def kept_of(cluster: Cluster, saga_id: str) -> list[str]:
    """The lasting effects of a saga, read from the services' databases."""
    return [
        kind for kind, (service, query) in KEPT.items() if cluster.databases.rows(service, query.format(saga=saga_id))
    ]


def undone_in_order(status: dict[str, Any]) -> list[str]:
    """The steps that were compensated, first one first."""
    undone = [step for step in status["steps"] if step.get("compensation", {}).get("endTime")]
    return [step["name"] for step in sorted(undone, key=lambda step: step["compensation"]["endTime"])]


@pytest.fixture
def scene(cluster: Cluster) -> Scene:
    """A scene whose customer has been copied to invoices."""
    made = cluster.shop.scene()
    copied = lambda: cluster.shop.call("invoices", "GET", f"/customers/{made.customer_id}").status == 200  # noqa: E731
    cluster.eventually(copied, what="the customer's copy in invoices")
    return made


def test_the_order_of_the_seed_succeeds_whole(cluster: Cluster, scene: Scene) -> None:
    name = unique("order")
    saga_id = cluster.start(name, scene.order())
    status = cluster.saga_ends(name)
    assert status["phase"] == "Succeeded", status
    assert kept_of(cluster, saga_id) == ["reservation", "payment", "order", "invoice"]
    order = cluster.shop.call("orders", "GET", f"/orders/{status['result']['orderId']}").ok()
    assert (order["status"], order["totalAmount"]) == ("confirmed", "209.97")
    invoice = cluster.shop.call("invoices", "GET", f"/invoices/{status['result']['invoiceId']}").ok()
    assert (invoice["status"], invoice["totalAmount"]) == ("issued", "209.97")
    stock = cluster.shop.call("inventory", "GET", f"/stock/{scene.product_a}").ok()
    assert (stock["reserved"], stock["sold"]) == (0, 2)
    lines = [(line["productName"], line["quantity"], line["unitPrice"]) for line in invoice["items"]]
    assert lines == [("Product 29.99", 2, "29.99"), ("Product 149.99", 1, "149.99")]


def test_kubectl_get_tells_the_truth_in_its_columns(cluster: Cluster, scene: Scene) -> None:
    name = unique("columns")
    cluster.start(name, scene.order())
    cluster.kubectl.run(
        "wait", "-n", cluster.namespace, f"saga/{name}", "--for=condition=Succeeded", "--timeout=60s", timeout=70
    )
    header, row = cluster.kubectl.run("get", "sagas", "-n", cluster.namespace, name).splitlines()
    assert header.split() == ["NAME", "DEFINITION", "PHASE", "STEP", "PROGRESS", "REASON", "AGE"]
    assert row.split()[:5] == [name, "create-order", "Succeeded", "sell-inventory", "6/6"]


def test_a_declined_payment_undoes_the_reservation(cluster: Cluster) -> None:
    poor = cluster.shop.scene(balance="0.00")
    before = cluster.shop.kept_of(poor)
    name = unique("declined")
    saga_id = cluster.start(name, poor.order())
    status = cluster.saga_ends(name)
    assert (status["phase"], status["reason"]) == ("Compensated", "PaymentDeclined"), status
    assert undone_in_order(status) == ["reserve-inventory"]
    assert cluster.shop.kept_of(poor) == before
    assert kept_of(cluster, saga_id) == []


def test_an_invoice_that_cannot_be_issued_undoes_all_three_steps_in_reverse(cluster: Cluster) -> None:
    foreign = cluster.shop.scene(document=PASSPORT)
    before = cluster.shop.kept_of(foreign)
    name = unique("unbillable")
    saga_id = cluster.start(name, foreign.order())
    status = cluster.saga_ends(name)
    assert (status["phase"], status["reason"]) == ("Compensated", "DocumentNotBillable"), status
    assert undone_in_order(status) == ["create-order", "process-payment", "reserve-inventory"]
    assert cluster.shop.kept_of(foreign) == before
    assert kept_of(cluster, saga_id) == []


def faulty_definition(
    cluster: Cluster, step: str, fault: str, *, attempts: int, timeouts: Mapping[str, str] | None = None
) -> str:
    """`create-order` with a fault at one step's action, short retries and no probe; the object's name."""
    shipped = cluster.kubectl.json("get", "sagadefinition", "-n", cluster.namespace, "create-order")
    spec = copy.deepcopy(shipped["spec"])
    faulty = next(each for each in spec["steps"] if each["name"] == step)
    faulty["action"]["http"].setdefault("headers", {})["Kompensa-Fault"] = f"{fault}; direction=action"
    faulty.pop("probe", None)
    faulty["retryPolicy"] = {"initialInterval": "50ms", "maximumAttempts": attempts}
    if timeouts is not None:
        faulty["timeouts"] = dict(timeouts)
    name = unique("faulty")
    cluster.kubectl.apply(
        {
            "apiVersion": shipped["apiVersion"],
            "kind": "SagaDefinition",
            "metadata": {"name": name, "namespace": cluster.namespace},
            "spec": spec,
        }
    )
    cluster.kubectl.run(
        "wait", "-n", cluster.namespace, f"sagadefinition/{name}", "--for=condition=Ready", "--timeout=60s", timeout=70
    )
    return name


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.partition(";")[0])
@pytest.mark.parametrize("step", STEPS)
def test_whichever_step_fails_nothing_is_left_behind(cluster: Cluster, scene: Scene, step: str, fault: str) -> None:
    """S49. After a refusal the step is known to have kept nothing; after any other error it is undone too.

    One attempt and no probe, so that its outcome stays unknown: a second attempt would be given the stored reply.
    """
    before = cluster.shop.kept_of(scene)
    definition = faulty_definition(cluster, step, fault, attempts=1)
    name = unique("fails")
    saga_id = cluster.start(name, scene.order(), definition=definition)
    status = cluster.saga_ends(name)
    reached = STEPS[: STEPS.index(step) + (0 if fault.startswith("refuse") else 1)]
    assert status["phase"] == "Compensated", status
    assert undone_in_order(status) == list(reversed(reached))
    assert kept_of(cluster, saga_id) == []
    assert cluster.shop.kept_of(scene) == before
    cluster.kubectl.run("delete", "sagadefinition", "-n", cluster.namespace, definition)
