"""Each service owns its data, proved with the real logins and the catalog (S1, S13); and what the cluster refuses."""

from __future__ import annotations

import itertools
import uuid

import pytest

from tests.e2e.test_order_saga import unique
from tests.support.cluster import SHOP, SYSTEM, Cluster
from tests.support.kubectl import KubectlError
from tests.support.services import SERVICES
from tests.support.shop import saga

TABLES = {
    "orders": "orders.customers",
    "inventory": "inventory.stock",
    "payments": "payments.payments",
    "invoices": "invoices.invoices",
    "shipping": "shipping.customers",
    "catalog": "catalog.products",
}
CROSSING = """
    SELECT conname FROM pg_constraint c
      JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid
     WHERE c.contype = 'f' AND a.relnamespace <> b.relnamespace
"""


@pytest.mark.parametrize(("owner", "intruder"), list(itertools.permutations(SERVICES, 2)))
def test_no_service_reads_anothers_tables(cluster: Cluster, owner: str, intruder: str) -> None:
    with pytest.raises(KubectlError, match=r"permission denied|password authentication failed|does not exist"):
        cluster.databases.rows(owner, f"SELECT * FROM {TABLES[owner]}", login=intruder)


@pytest.mark.parametrize("service", SERVICES)
def test_no_foreign_key_crosses_a_service(cluster: Cluster, service: str) -> None:
    assert cluster.databases.rows(service, CROSSING) == []


@pytest.mark.parametrize("service", SERVICES)
def test_two_phase_commit_is_switched_off(cluster: Cluster, service: str) -> None:
    """S36."""
    assert cluster.databases.rows(
        service, "SELECT setting FROM pg_settings WHERE name = 'max_prepared_transactions'"
    ) == [{"setting": "0"}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"items": [{"productId": str(uuid.uuid4()), "quantity": -1, "price": "1.00"}]}, "quantity"),
        ({"totalAmount": 209.97}, "totalAmount"),
        ({"surprise": True}, "surprise"),
    ],
)
def test_input_that_does_not_fit_is_reported_on_the_object(
    cluster: Cluster, change: dict[str, object], message: str
) -> None:
    name = unique("unfit")
    cluster.kubectl.create(saga(name, cluster.shop.scene().order(**change)))
    status = cluster.saga_ends(name)
    assert (status["phase"], status["reason"]) == ("Terminated", "InputInvalid"), status
    assert message in status["message"]


def test_a_total_that_is_not_the_sum_is_refused_by_orders(cluster: Cluster) -> None:
    name = unique("total")
    cluster.kubectl.create(saga(name, cluster.shop.scene().order(totalAmount="1.00")))
    status = cluster.saga_ends(name)
    assert (status["phase"], status["reason"]) == ("Compensated", "TotalMismatch"), status
    assert status["message"].startswith("Order creation failed: create-order: ")
    assert "209.97" in status["message"]


def test_a_saga_cannot_be_edited_once_created(cluster: Cluster) -> None:
    name = unique("edited")
    scene = cluster.shop.scene()
    cluster.kubectl.create(saga(name, scene.order()))
    with pytest.raises(KubectlError, match=r"immutable|cannot be changed"):
        cluster.kubectl.apply(saga(name, scene.order(totalAmount="1.00")))


def test_an_unknown_definition_waits_and_names_the_known_ones(cluster: Cluster) -> None:
    name = unique("unknown")
    cluster.kubectl.create(saga(name, {}, definition="create-ordre"))

    def said() -> bool:
        status = cluster.saga(name).get("status", {})
        return "create-order" in " ".join(c["message"] for c in status.get("conditions", []))

    cluster.eventually(said, what="the condition that names the known definitions")
    cluster.kubectl.run("delete", "saga", "-n", SHOP, name)


def test_a_duplicate_key_with_other_input_is_refused_by_name(cluster: Cluster) -> None:
    scene, key = cluster.shop.scene(), str(uuid.uuid4())
    first, second = unique("first"), unique("second")
    cluster.kubectl.create(saga(first, scene.order(), idempotencyKey=key))
    cluster.saga_ends(first)
    cluster.kubectl.create(saga(second, scene.order(totalAmount="1.00"), idempotencyKey=key))
    assert cluster.saga_ends(second)["reason"] == "IdempotencyKeyReused"


def test_every_pod_is_restricted(cluster: Cluster) -> None:
    for namespace in (SYSTEM, SHOP):
        for pod in cluster.kubectl.items("pods", "-n", namespace):
            spec = pod["spec"]
            for container in [*spec["containers"], *spec.get("initContainers", [])]:
                context = {**spec.get("securityContext", {}), **container.get("securityContext", {})}
                where = f"{pod['metadata']['name']}/{container['name']}"
                assert context.get("runAsNonRoot") is True, where
                assert context.get("readOnlyRootFilesystem") is True, where
                assert context.get("allowPrivilegeEscalation") is False, where
                assert context.get("capabilities", {}).get("drop") == ["ALL"], where
