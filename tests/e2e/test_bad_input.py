"""Errors are shown where their author looks: in kubectl's output, or on the object (see also test_isolation)."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.test_order_saga import unique
from tests.support.cluster import SHOP, Cluster
from tests.support.kubectl import KubectlError
from tests.support.shop import saga

Spec = dict[str, Any]
MEGABYTE = 1 << 20


def definition(cluster: Cluster, change: Callable[[Spec], object]) -> dict[str, Any]:
    """`create-order` under another name, with one mistake in it."""
    shipped = cluster.kubectl.json("get", "sagadefinition", "-n", SHOP, "create-order")
    spec = copy.deepcopy(shipped["spec"])
    change(spec)
    return {
        "apiVersion": shipped["apiVersion"],
        "kind": "SagaDefinition",
        "metadata": {"name": unique("wrong"), "namespace": SHOP},
        "spec": spec,
    }


def step(spec: Spec, number: int) -> Spec:
    found: Spec = spec["steps"][number]
    return found


def body_of(spec: Spec, number: int) -> Spec:
    found: Spec = step(spec, number)["action"]["http"]["body"]
    return found


def wait_in_a_ring(spec: Spec) -> None:
    step(spec, 0)["dependsOn"] = ["create-order"]


REFUSED = {
    "an unknown field": (
        lambda spec: step(spec, 0).update(actoin={}),
        'unknown field "spec.steps[0].actoin"',
    ),
    "an unknown step": (
        lambda spec: step(spec, 1).update(dependsOn=["reserve-stock"]),
        "dependsOn must name other steps",
    ),
}
JUDGED = {
    "an unknown participant": (
        lambda spec: step(spec, 0).update(participantRef={"name": "inventroy"}),
        "step reserve-inventory: Participant inventroy does not exist in this namespace (known: inventory, invoices,",
    ),
    "a cycle": (wait_in_a_ring, "steps wait for each other: "),
    "an unknown root": (
        lambda spec: body_of(spec, 0).update(items="${inptu.items}"),
        "${inptu.items} does not compile: ERROR: <input>:1:6: undeclared reference to 'inptu.items'",
    ),
    "a root of another place": (
        lambda spec: body_of(spec, 0).update(items="${reply.items}"),
        "step reserve-inventory: action.http.body: ${reply.items} is not available here; available: input,",
    ),
    "an unknown step's output": (
        lambda spec: body_of(spec, 3).update(orderId="${steps['make-order'].orderId}"),
        "${steps['make-order'].orderId} is not a step of this definition; its steps are reserve-inventory",
    ),
    "an unknown output": (
        lambda spec: body_of(spec, 3).update(orderId="${steps['create-order'].orderNumber}"),
        "orderNumber} is not an output of step create-order (declared: items, orderId); add it to that step's outputs",
    ),
}


@pytest.mark.parametrize(("mistake", "advice"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_definition_is_refused_at_once(
    cluster: Cluster, mistake: Callable[[Spec], object], advice: str
) -> None:
    with pytest.raises(KubectlError) as told:
        cluster.kubectl.create(definition(cluster, mistake))
    assert advice in str(told.value)


@pytest.mark.parametrize(("mistake", "advice"), JUDGED.values(), ids=JUDGED.keys())
def test_a_definition_that_cannot_work_says_why_in_its_condition(
    cluster: Cluster, mistake: Callable[[Spec], object], advice: str
) -> None:
    made = cluster.kubectl.create(definition(cluster, mistake))
    what = f"sagadefinition/{made['metadata']['name']}"
    try:
        cluster.kubectl.wait(what, "Stalled", namespace=SHOP)
        ready = cluster.condition(what, "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "LintFailed")
        assert advice in ready["message"]
        assert sum(line.startswith("step") for line in ready["message"].splitlines()) == 1, "one mistake, one finding"
    finally:
        cluster.kubectl.run("delete", "-n", SHOP, what)


def test_a_definition_gets_well_when_its_participant_appears(cluster: Cluster) -> None:
    name = unique("late")
    made = cluster.kubectl.create(definition(cluster, lambda spec: step(spec, 0).update(participantRef={"name": name})))
    what = f"sagadefinition/{made['metadata']['name']}"
    cluster.kubectl.wait(what, "Stalled", namespace=SHOP)
    participant = cluster.kubectl.json("get", "participant", "-n", SHOP, "inventory")
    cluster.kubectl.apply({**participant, "metadata": {"name": name, "namespace": SHOP}})
    cluster.kubectl.wait(what, "Ready", namespace=SHOP)
    cluster.kubectl.run("delete", "-n", SHOP, what, f"participant/{name}")


def test_a_misspelt_field_of_a_saga_is_named_by_kubectl(cluster: Cluster) -> None:
    wrong = saga(unique("misspelt"), {})
    wrong["spec"]["inptu"] = wrong["spec"].pop("input")
    with pytest.raises(KubectlError, match=r'unknown field "spec.inptu"'):
        cluster.kubectl.create(wrong)


@pytest.mark.parametrize(
    ("size", "reason", "advice"),
    [
        (300 * 1024, "InputTooLarge", "may have 262144 bytes; pass a reference to what is larger"),
        (MEGABYTE, "BodyTooLarge", "more than 1048576 bytes; pass a reference to what is large"),
    ],
)
def test_an_input_that_is_too_large_ends_at_once_with_the_bound_in_its_message(
    cluster: Cluster, size: int, reason: str, advice: str
) -> None:
    name = unique("large")
    cluster.start(name, {"customerId": str(uuid.uuid4()), "paymentMethodId": "x" * size})
    status = cluster.saga_ends(name)
    assert (status["phase"], status["reason"]) == ("Terminated", reason), status
    assert advice in status["message"]
    assert len(str(status)) < 4096, "the status must not repeat the input"
    cluster.kubectl.run("delete", "saga", "-n", SHOP, name)


def test_kubectl_rejects_an_impossible_object(cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match=r"(?i)too (large|long)"):
        cluster.start(unique("huge"), {"paymentMethodId": "x" * (4 * MEGABYTE)})


def test_a_negative_quantity_and_a_wrong_sum_are_reported_by_http_as_well(cluster: Cluster) -> None:
    """The same judgement as on a Saga object, as problem+json."""
    scene = cluster.shop.scene()
    item = {"productId": scene.product_a, "quantity": -2, "price": "29.99"}
    body = {"definition": "create-order", "input": scene.order(items=[item])}
    refused = cluster.api("POST", "/v1/namespaces/shop/sagas", body)
    assert refused.status == 422, refused
    assert refused.headers["content-type"].startswith("application/problem+json")
    assert "quantity" in refused.body["detail"]
    body["input"] = scene.order(totalAmount="210.00")
    ended = cluster.api("POST", "/v1/namespaces/shop/sagas?wait=30s", body, timeout=40).ok()
    assert (ended["phase"], ended["reason"]) == ("Compensated", "TotalMismatch"), ended
    assert "209.97" in ended["message"]


def test_an_order_for_an_unknown_customer_is_undone_with_the_services_own_words(cluster: Cluster) -> None:
    scene = cluster.shop.scene()
    name = unique("nobody")
    cluster.start(name, scene.order(customerId=str(uuid.uuid4())))
    status = cluster.saga_ends(name)
    assert status["phase"] == "Compensated", status
    assert status["step"] == "process-payment", "payments waits for a copy of the customer, which never comes"
    assert "customer" in status["message"].lower()
