import re
from typing import Any

import pytest

from kompensa_cdc.replicas import InvalidReplicaError, replica_from_object
from kompensa_cdc.replicas.spec import Column, ColumnType, OnDelete


def replica(**changes: Any) -> dict[str, Any]:
    target = {
        "table": "shipping.customers",
        "keyColumn": "orders_customer_id",
        "versionColumn": "source_version",
        "syncedAtColumn": "synced_at",
        "deletedAtColumn": "deleted_at",
        "columns": [
            {"name": "full_name", "field": "fullName", "personal": True},
            {"name": "phone", "default": ""},
            {"name": "shipping_address", "field": "shippingAddress", "type": "jsonb"},
        ],
    }
    source = {"topics": ["orders.customer-created"], "deleteEvents": ["customer-deleted"]}
    return {
        "metadata": {"namespace": "shop", "name": "shipping-customers"},
        "spec": {"source": source, "target": target | changes.pop("target", {}), **changes},
    }


def test_an_object_is_read_with_its_defaults() -> None:
    spec = replica_from_object(replica())

    assert spec.replica == "shop/shipping-customers"
    assert spec.group == "kompensa-replica.shop.shipping-customers"
    assert spec.on_delete is OnDelete.SOFT_DELETE
    assert (spec.max_records, spec.max_wait_seconds) == (5000, 0.01)
    assert spec.target.columns == (
        Column(name="full_name", field="fullName", personal=True),
        Column(name="phone", field="phone", default=""),
        Column(name="shipping_address", field="shippingAddress", type=ColumnType.JSONB),
    )


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"target": {"table": "customers"}}, "spec.target.table"),
        ({"target": {"table": 'a.b"; DROP TABLE c'}}, "spec.target.table"),
        ({"target": {"keyColumn": 'id"'}}, "spec.target.keyColumn"),
        ({"target": {"keyColumn": "id\n"}}, "spec.target.keyColumn"),
        ({"target": {"versionColumn": "orders_customer_id"}}, "spec.target"),
        ({"target": {"columns": [{"name": "a", "type": "int"}]}}, "spec.target.columns[0].type"),
        ({"target": {"columns": [{"name": "a", "default": 0}]}}, "spec.target.columns[0].default"),
        ({"target": {"columns": [{"name": "a"}, {"name": "a"}]}}, "spec.target.columns[1].name"),
        ({"target": {"columns": [{"name": "synced_at"}]}}, "spec.target.columns[0].name"),
        ({"target": {"colums": []}}, "spec.target.colums"),
        ({"onDelete": "Forget"}, "spec.onDelete"),
        ({"batch": {"maxRecords": 0}}, "spec.batch.maxRecords"),
        ({"batch": {"maxWait": "soon"}}, "spec.batch.maxWait"),
        ({"source": {"topics": []}}, "spec.source.topics"),
        ({"source": {}}, "spec.source.topics"),
        ({"source": {"topics": ["a b"]}}, "spec.source.topics[0]"),
        ({"source": "orders"}, "spec.source"),
        ({"eventSchema": True}, "spec.eventSchema"),
    ],
)
def test_a_fault_is_named_by_its_path(changes: dict[str, Any], path: str) -> None:
    assert paths_of(replica(**changes)) == [path]


def test_all_faults_are_reported_at_once() -> None:
    broken = replica(
        target={"table": "customers", "columns": [{"name": "a", "type": "int"}, {"nam": "b"}]},
        batch={"maxRecords": "many", "maxWait": "soon"},
    )
    del broken["metadata"]["name"]
    assert paths_of(broken) == [
        "metadata.name",
        "spec.target.table",
        "spec.target.columns[0].type",
        "spec.target.columns[1].name",
        "spec.target.columns[1].nam",
        "spec.batch.maxRecords",
        "spec.batch.maxWait",
    ]


def test_an_empty_document_lacks_everything() -> None:
    assert paths_of({}) == ["metadata", "spec"]


def paths_of(document: dict[str, Any]) -> list[str]:
    """The paths of the faults that are reported."""
    with pytest.raises(InvalidReplicaError) as rejected:
        replica_from_object(document)
    return re.findall(r"(?:^|; )((?:metadata|spec)[^:; ]*): ", str(rejected.value))


def test_soft_deletion_needs_a_column_to_mark() -> None:
    without = replica()
    del without["spec"]["target"]["deletedAtColumn"]

    with pytest.raises(InvalidReplicaError, match="deletedAtColumn: is missing"):
        replica_from_object(without)
    assert (
        replica_from_object(without | {"spec": without["spec"] | {"onDelete": "Delete"}}).on_delete is OnDelete.DELETE
    )
