"""The spec of an Outbox object, and the end of one whose spec cannot be read."""

from typing import Any

import pytest

from kompensa.cluster.secrets import SecretReference
from kompensa.handlers.outboxes import outbox_spec
from kompensa.handlers.watched_object import WatchedObject
from kompensa.model.parsing import SpecError
from tests.support.fake_kube import metadata_of

SPEC = {
    "table": "orders.outbox",
    "topicPrefix": "orders",
    "events": ["order-placed"],
    "databaseSecretRef": {"name": "orders"},
    "captureSecretRef": {"name": "capture", "keys": {"url": "uri"}},
}


def outbox(**fields: Any) -> WatchedObject:
    return WatchedObject({"metadata": metadata_of("orders"), "spec": SPEC | fields})


def test_a_spec_is_read_with_the_secrets_of_both_logins() -> None:
    spec = outbox_spec(outbox())
    assert (spec.outbox.namespace, spec.outbox.table) == ("shop", "orders.outbox")
    assert spec.owner == SecretReference(name="orders")
    assert spec.capture == SecretReference(name="capture", keys={"url": "uri"})


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"table": "outbox"}, "spec.table"), ({"captureSecretRef": {"keys": {}}}, "spec.captureSecretRef")],
)
def test_a_spec_that_cannot_be_read_names_the_field(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(SpecError, match=field):
        outbox_spec(outbox(**fields))
