"""The other isolation: one PostgreSQL with a schema and a role a service (S8-S10).

This is a second shop, in a namespace of its own next to the first. It has to pass the tests of the first one, which get
another `cluster`. It starts from nothing and is removed completely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kompensa_dev.shop import PUBLISHERS
from tests.e2e.test_copies import (  # noqa: F401 -- collected here again, for the cluster below
    test_a_new_customer_arrives_with_only_the_fields_each_service_needs,
    test_a_replica_rebuilt_from_offset_zero_changes_nothing,
    test_changes_and_deletions_reach_the_copies,
    test_nothing_is_lost_while_connect_is_down,
    test_the_copies_cannot_be_written_through_the_api,
    test_the_objects_show_lag_and_readiness,
)
from tests.e2e.test_crashes import (  # noqa: F401 -- the others kill what knows nothing of the mode
    test_a_killed_database_recovers_everything_that_it_acknowledged,
    test_a_participant_killed_before_its_commit_is_asked_again,
)
from tests.e2e.test_isolation import (  # noqa: F401
    test_no_foreign_key_crosses_a_service,
    test_no_service_reads_anothers_tables,
    test_two_phase_commit_is_switched_off,
)
from tests.e2e.test_order_saga import (  # noqa: F401
    scene,
    test_a_declined_payment_undoes_the_reservation,
    test_an_invoice_that_cannot_be_issued_undoes_all_three_steps_in_reverse,
    test_kubectl_get_tells_the_truth_in_its_columns,
    test_the_order_of_the_seed_succeeds_whole,
    test_whichever_step_fails_nothing_is_left_behind,
)
from tests.support.cluster import SHOP, Cluster
from tests.support.helm import Helm, laid_over
from tests.support.services import SERVICES

NAMESPACE = "shop-schema"
RELEASE = "shop-schema"
NODE_PORTS = {name: 30181 + number for number, name in enumerate(SERVICES)}
OTHERS_RIGHTS = """
    SELECT grantee, table_schema, table_name FROM information_schema.role_table_grants
     WHERE table_schema = '{schema}' AND grantee NOT IN ('{schema}', '{schema}_capture', '{schema}_serving', 'postgres')
"""
FOREIGN_VIEWS = """
    SELECT view_schema, view_name, table_schema, table_name FROM information_schema.view_table_usage
     WHERE view_schema <> table_schema AND view_schema NOT IN ('pg_catalog', 'information_schema')
"""


@pytest.fixture(scope="module")
def cluster(cluster: Cluster) -> Iterator[Cluster]:
    """The same cluster, seen through a shop in schema mode."""
    helm = Helm(cluster.environment)
    helm.upgrade(RELEASE, NAMESPACE, schema_values(helm.values(SHOP, SHOP)), chart="shop")
    urls = {name: f"http://{node_address(cluster)}:{port}" for name, port in NODE_PORTS.items()}
    other = Cluster(cluster.environment, namespace=NAMESPACE, shop_urls=urls)
    for outbox in PUBLISHERS:
        other.kubectl.wait(f"outbox/{outbox}", "Ready", namespace=NAMESPACE)
    yield other
    # The Outboxes before their database: they drop their replication slots.
    cluster.kubectl.run("delete", "outbox", "--all", "-n", NAMESPACE, "--timeout=100s", timeout=120)
    helm.uninstall(RELEASE, NAMESPACE)
    cluster.kubectl.run("delete", "namespace", NAMESPACE, "--timeout=150s", timeout=170)


def schema_values(first: Mapping[str, Any]) -> dict[str, Any]:
    """The first shop's images and switches, with topics of its own and other ports on the node.

    Requests are small, so that both shops fit on two cores: the scheduler cannot give the CPU that it reserves for this
    shop to a pod that is replaced meanwhile.
    """
    small = {"requests": {"cpu": "5m"}}
    changes = {
        "isolation": "schema",
        "kompensa": {"topicPrefix": "schema-mode."},
        "sharedDatabase": {"resources": small},
        "services": {name: {"nodePort": port, "resources": small} for name, port in NODE_PORTS.items()},
    }
    return laid_over(first, changes)


def node_address(cluster: Cluster) -> str:
    """The node's own address: these ports are not published on loopback. The API server's proxy forwards no token."""
    (node,) = cluster.kubectl.items("nodes")
    (address,) = [entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP"]
    return str(address)


def test_all_services_share_one_server_and_one_database(cluster: Cluster) -> None:
    servers = cluster.kubectl.items("statefulsets", "-n", NAMESPACE)
    assert [server["metadata"]["name"] for server in servers] == ["shop-postgres"]
    urls = {name: cluster.databases.url(name) for name in SERVICES}
    assert len({url.rpartition("@")[2] for url in urls.values()}) == 1
    assert len({url.partition("@")[0] for url in urls.values()}) == len(SERVICES), "a login each"


@pytest.mark.parametrize("service", SERVICES)
def test_no_grant_reaches_into_a_schema_and_no_view_out_of_it(cluster: Cluster, service: str) -> None:
    """S13."""
    assert cluster.databases.rows(service, OTHERS_RIGHTS.format(schema=service)) == []
    assert cluster.databases.rows(service, FOREIGN_VIEWS) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_make_nothing_outside_its_schema(cluster: Cluster, service: str) -> None:
    rights = cluster.databases.rows(
        service,
        "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(nspname, 'CREATE')"
        " AND nspname !~ '^pg_(toast_)?temp'",
    )
    assert rights == [{"nspname": service}]
    assert cluster.databases.rows(
        service, "SELECT has_database_privilege(current_database(), 'CREATE') AS may_make_schemas"
    ) == [{"may_make_schemas": False}]


def test_two_shops_on_one_kafka_do_not_see_each_others_customers(cluster: Cluster) -> None:
    customer = cluster.shop.customer()
    copied = lambda: cluster.shop.call("invoices", "GET", f"/customers/{customer['id']}").status == 200  # noqa: E731
    cluster.eventually(copied, what="the copy in this shop")
    first = Cluster(cluster.environment)
    witness = first.shop.customer()
    first.eventually(
        lambda: first.shop.call("invoices", "GET", f"/customers/{witness['id']}").status == 200,
        what="a later customer's copy in the first shop",
    )
    assert first.shop.call("invoices", "GET", f"/customers/{customer['id']}").status == 404
