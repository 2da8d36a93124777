"""Customers are copied to invoices and shipping with exactly the declared fields, through any restart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from kafka import KafkaConsumer
from tests.support.cluster import SYSTEM, Cluster
from tests.support.shop import CPF

INVOICES = "SELECT * FROM invoices.customers"
SHIPPING = "SELECT * FROM shipping.customers"
SMALL_LAG = 1_000_000  # bytes; heartbeats and other tables go on writing


def copy_of(cluster: Cluster, service: str, customer: str) -> dict[str, Any] | None:
    answer = cluster.shop.call(service, "GET", f"/customers/{customer}")
    return answer.body if answer.status == 200 else None


def all_copied(cluster: Cluster, service: str, customers: list[str]) -> bool:
    return all(copy_of(cluster, service, customer) for customer in customers)


def test_a_new_customer_arrives_with_only_the_fields_each_service_needs(cluster: Cluster) -> None:
    customer = cluster.shop.customer()
    wanted = {"invoices": ("document", "billingAddress"), "shipping": ("phone", "shippingAddress")}
    common = {"id", "ordersCustomerId", "email", "fullName", "sourceVersion", "syncedAt"}
    for service, own in wanted.items():
        copied = cluster.eventually(partial(copy_of, cluster, service, customer["id"]), what=f"copy in {service}")
        assert set(copied) == common | set(own)
        assert {name: copied[name] for name in ("email", "fullName", *own)} == {
            name: customer[name] for name in ("email", "fullName", *own)
        }
        assert copied["id"] != customer["id"], "the copy has an identifier of its own"


def test_changes_and_deletions_reach_the_copies(cluster: Cluster) -> None:
    customer = cluster.shop.customer()
    changed = {k: v for k, v in customer.items() if k not in ("id", "version", "createdAt", "updatedAt")}
    changed["fullName"] = "Ana Maria Souza"
    cluster.shop.call("orders", "PUT", f"/customers/{customer['id']}", changed).ok()

    def renamed() -> bool:
        copies = [copy_of(cluster, service, customer["id"]) for service in ("invoices", "shipping")]
        return all(found is not None and found["fullName"] == "Ana Maria Souza" for found in copies)

    cluster.eventually(renamed, what="the new name in both copies")
    cluster.shop.call("orders", "DELETE", f"/customers/{customer['id']}").ok()
    cluster.eventually(
        lambda: not any(copy_of(cluster, service, customer["id"]) for service in ("invoices", "shipping")),
        what="the copies to be gone",
    )


def test_nothing_is_lost_while_connect_is_down(cluster: Cluster) -> None:
    assert cluster.kill(SYSTEM, "app.kubernetes.io/component=connect")
    customers = [cluster.shop.customer(name=f"Customer {n}")["id"] for n in range(5)]
    cluster.ready(SYSTEM, "app.kubernetes.io/component=connect")
    for service in ("invoices", "shipping"):
        cluster.eventually(
            partial(all_copied, cluster, service, customers),
            what=f"every customer in {service}",
            seconds=120,
        )


def test_a_replica_rebuilt_from_offset_zero_changes_nothing(cluster: Cluster) -> None:
    customer = cluster.shop.customer()
    cluster.eventually(lambda: copy_of(cluster, "invoices", customer["id"]), what="the copy")
    before = rows_by_key(cluster, "invoices", INVOICES)
    read = positions(cluster)
    assert any(position.offset for position in read.values()), "nothing was read yet: a rebuild would prove nothing"
    worker = cluster.pods(cluster.namespace, "kompensa.dev/replica=invoices-customers")[0]["metadata"]["name"]
    cluster.kubectl.execute(cluster.namespace, worker, "kompensa-cdc", "rewind")

    def read_again() -> bool:
        now = positions(cluster)
        return all(now[part].epoch > old.epoch and now[part].offset >= old.offset for part, old in read.items())

    cluster.eventually(read_again, what="the topics to be read again from their beginning")
    last = cluster.shop.customer()
    cluster.eventually(lambda: copy_of(cluster, "invoices", last["id"]), what="a customer after the rebuild")
    after = rows_by_key(cluster, "invoices", INVOICES)
    del after[last["id"]]
    assert after == before, "every row as it was: same local id, same version, not even written again"


@dataclass(frozen=True)
class Position:
    """How far a partition is read, and under which claim: a rewind starts a new one at offset 0."""

    offset: int
    epoch: int


def positions(cluster: Cluster) -> dict[tuple[str, int], Position]:
    query = "SELECT topic, partition, next_offset, epoch FROM invoices.kompensa_replica_offsets"
    rows = cluster.databases.rows("invoices", query)
    return {(row["topic"], row["partition"]): Position(row["next_offset"], row["epoch"]) for row in rows}


def rows_by_key(cluster: Cluster, service: str, query: str) -> dict[str, dict[str, Any]]:
    return {row["orders_customer_id"]: row for row in cluster.databases.rows(service, query)}


def test_the_copies_cannot_be_written_through_the_api(cluster: Cluster) -> None:
    for service in ("invoices", "shipping"):
        assert cluster.shop.call(service, "POST", "/customers", {"document": CPF}).status == 405


def outbox_status(cluster: Cluster) -> dict[str, Any]:
    return dict(cluster.kubectl.json("get", "outbox", "-n", cluster.namespace, "orders")["status"])


def confirmed(cluster: Cluster, slot: str, position: str) -> bool:
    """Whether Debezium has confirmed to the server that it needs no WAL before this position."""
    query = f"SELECT confirmed_flush_lsn >= '{position}'::pg_lsn AS past FROM pg_replication_slots"
    return [row["past"] for row in cluster.databases.rows("orders", f"{query} WHERE slot_name = '{slot}'")] == [True]


def test_the_objects_show_lag_and_readiness(cluster: Cluster) -> None:
    for kind, name in (
        ("outbox", "orders"),
        ("outbox", "catalog"),
        ("replica", "invoices-customers"),
        ("replica", "shipping-customers"),
    ):
        cluster.kubectl.run(
            "wait", "-n", cluster.namespace, f"{kind}/{name}", "--for=condition=Ready", "--timeout=90s", timeout=100
        )
    outbox = outbox_status(cluster)
    assert outbox["connectorState"] == "RUNNING"
    cluster.shop.customer()
    written = cluster.databases.rows("orders", "SELECT pg_current_wal_lsn()::text AS at")[0]["at"]
    cluster.eventually(
        lambda: confirmed(cluster, outbox["slot"], written), what="the slot to move past what was written"
    )
    cluster.eventually(lambda: outbox_status(cluster)["lagBytes"] < SMALL_LAG, what="the object to show a small lag")
    replica = cluster.kubectl.json("get", "replica", "-n", cluster.namespace, "invoices-customers")["status"]
    assert replica["parkedKeys"] == 0


@pytest.mark.parametrize("topic", ["orders.customer-created", "orders.customer-updated", "orders.customer-deleted"])
def test_topics_carry_key_and_headers(cluster: Cluster, topic: str) -> None:
    customer = cluster.shop.customer()
    changed = {k: v for k, v in customer.items() if k not in ("id", "version", "createdAt", "updatedAt")}
    cluster.shop.call("orders", "PUT", f"/customers/{customer['id']}", changed).ok()
    cluster.shop.call("orders", "DELETE", f"/customers/{customer['id']}").ok()
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers="127.0.0.1:19092",
        auto_offset_reset="earliest",
        consumer_timeout_ms=20000,
        group_id=None,
    )
    try:
        record = next(r for r in consumer if r.key == customer["id"].encode())
    finally:
        consumer.close()
    headers = {name: value.decode() for name, value in record.headers if value is not None}
    assert headers["event-type"] == topic.removeprefix("orders.")
    assert headers["event-version"] == "1.0"
    assert headers["aggregate-version"] == {"created": "1", "updated": "2", "deleted": "3"}[topic.rpartition("-")[2]]
    assert b"paymentMethods" not in record.value
