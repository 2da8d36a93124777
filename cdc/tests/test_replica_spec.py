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
    ("changes", "complaint"),
    [
        ({"target": {"table": "customers"}}, "spec.target.table: 'customers' is not a table"),
        ({"target": {"table": 'a.b"; DROP TABLE c'}}, "spec.target.table"),
        ({"target": {"keyColumn": 'id"'}}, "spec.target.keyColumn"),
        ({"target": {"columns": [{"name": "a", "type": "int"}]}}, r"columns\[0\].type: 'int' is unknown"),
        ({"target": {"columns": [{"name": "a"}, {"name": "a"}]}}, "column a is named twice"),
        ({"target": {"columns": [{"name": "synced_at"}]}}, "column synced_at is named twice"),
        ({"onDelete": "Forget"}, "expected one of SoftDelete, Delete"),
        ({"batch": {"maxRecords": 0}}, "spec.batch.maxRecords"),
        ({"batch": {"maxWait": "soon"}}, "spec.batch.maxWait: 'soon' is not a duration"),
        ({"source": {"topics": []}}, "spec.source.topics: is empty"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_path(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidReplicaError, match=complaint):
        replica_from_object(replica(**changes))


def test_soft_deletion_needs_a_column_to_mark() -> None:
    without = replica()
    del without["spec"]["target"]["deletedAtColumn"]

    with pytest.raises(InvalidReplicaError, match="deletedAtColumn: is missing"):
        replica_from_object(without)
    assert (
        replica_from_object(without | {"spec": without["spec"] | {"onDelete": "Delete"}}).on_delete is OnDelete.DELETE
    )
