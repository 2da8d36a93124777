"""The kinds on a real API server: the objects that it accepts, and its errors about the others."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.apiserver import ApiServer

pytestmark = pytest.mark.integration

MANIFESTS = Path(__file__).parents[2] / "manifests"
Object = dict[str, Any]

DEFINITION = yaml.safe_load(
    """
apiVersion: kompensa.dev/v1alpha1
kind: SagaDefinition
metadata: {name: place}
spec:
  steps:
  - name: reserve
    participantRef: {name: inventory}
    action: {http: {path: /reservations}}
    compensation: {http: {path: /release}}
  - name: confirm
    kind: Retriable
    participantRef: {name: orders}
    action: {http: {path: /confirm}}
"""
)
SAGA = yaml.safe_load(
    """
apiVersion: kompensa.dev/v1alpha1
kind: Saga
metadata: {name: one}
spec:
  definitionRef: {name: place}
  input: {items: [{productId: a, quantity: 2}]}
"""
)
PARTICIPANT = yaml.safe_load(
    """
apiVersion: kompensa.dev/v1alpha1
kind: Participant
metadata: {name: inventory}
spec: {url: "http://inventory.shop.svc:8080"}
"""
)


def documents(folder: str) -> list[Object]:
    return [d for path in sorted((MANIFESTS / folder).glob("*.yaml")) for d in yaml.safe_load_all(path.read_text())]


def changed(manifest: Object, path: str, value: Any) -> Object:
    """A copy with the field at `path` (names and list indexes, dotted) replaced, or removed for None."""
    result = copy.deepcopy(manifest)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node: Any = result
    for part in parents:
        node = node[part]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return result


def said(apiserver: ApiServer, namespace: str, manifest: Object) -> str:
    """Apply a document; return the text that kubectl prints, errors included."""
    return apiserver.kubectl("apply", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(manifest), check=False)


@pytest.mark.parametrize("folder", ["shop", "sagas", "parallel"])
def test_our_own_manifests_are_taken(apiserver: ApiServer, namespace: str, folder: str) -> None:
    for manifest in documents(folder):
        manifest["metadata"].pop("namespace", None)
        answer = apiserver.kubectl("create", "-n", namespace, "-f", "-", stdin=yaml.safe_dump(manifest), check=False)
        assert answer.strip().endswith("created"), answer


@pytest.mark.parametrize(
    ("path", "value", "advice"),
    [
        ("spec.steps.0.compensation", None, "needs a compensation; add one, or make the step Retriable"),
        ("spec.steps.1.compensation", {"http": {"path": "/x"}}, "never compensated; remove its compensation"),
        ("spec.steps.1.name", "reserve", "two steps have the same name"),
        ("spec.steps.1.dependsOn", ["pay"], "dependsOn must name other steps"),
        ("spec.steps.1.dependsOn", ["confirm"], "dependsOn must name other steps"),
        ("spec.steps.0.timeouts", {"attempt": "3s", "total": "2s"}, "attempt is longer than total"),
        ("spec.retryPolicy", {"initialInterval": "1m"}, "initialInterval is longer than maximumInterval"),
        ("spec.deadline", "5 minutes", "write a duration"),
        ("spec.retryPolicy", {"initialInterval": "soon"}, "write a duration"),
        ("spec.steps.0.timeouts", {"attempt": "2"}, "write a duration"),
        ("spec.steps.0.name", "Reserve It", "write lower-case letters, digits and dashes"),
        ("spec.steps", [], "should have at least 1 items"),
        ("spec.steps.0.kind", "Pivot", 'supported values: "Compensatable", "Retriable"'),
        ("spec.steps.0.action.http.path", "reservations", "write a path that begins with /"),
        ("spec.steps.0.actoin", {}, 'unknown field "spec.steps[0].actoin"'),
    ],
)
def test_a_wrong_definition_is_refused_with_advice(
    apiserver: ApiServer, namespace: str, path: str, value: Any, advice: str
) -> None:
    answer = said(apiserver, namespace, changed(DEFINITION, path, value))
    assert advice in answer
    assert "evaluating rule" not in answer, "a rule that cannot be evaluated helps no user"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.deadline", "1d12h"),
        ("spec.retryPolicy", {"initialInterval": "1.5s", "maximumInterval": "7d"}),
        ("spec.steps.0.timeouts", {"attempt": "1h30m", "total": "1d"}),
    ],
)
def test_durations_may_have_days_fractions_and_several_units(
    apiserver: ApiServer, namespace: str, path: str, value: Any
) -> None:
    assert said(apiserver, namespace, changed(DEFINITION, path, value)).strip().endswith("created")


@pytest.mark.parametrize(
    ("path", "value", "advice"),
    [
        ("spec.definitionRef.name", "other", "definitionRef cannot be changed"),
        ("spec.input", {"items": [{"productId": "a", "quantity": 3}]}, "input cannot be changed"),
        ("spec.input", {"items": [{"productId": "a", "quantity": 2}], "more": 1}, "input cannot be changed"),
        ("spec.input", {}, "input cannot be changed"),
        ("spec.idempotencyKey", "cart-1", "idempotencyKey cannot be changed"),
        ("spec.deletionPolicy", "Orphan", "deletionPolicy cannot be changed"),
    ],
)
def test_a_saga_is_one_run_and_refuses_to_become_another(
    apiserver: ApiServer, namespace: str, path: str, value: Any, advice: str
) -> None:
    assert "created" in said(apiserver, namespace, SAGA)
    assert advice in said(apiserver, namespace, changed(SAGA, path, value))


def test_a_saga_can_be_suspended_resumed_cancelled_and_given_a_time_to_live(
    apiserver: ApiServer, namespace: str
) -> None:
    said(apiserver, namespace, SAGA)
    for change in (("suspend", True), ("suspend", False), ("ttlSecondsAfterFinished", 60), ("cancel", True)):
        assert "configured" in said(apiserver, namespace, changed(SAGA, f"spec.{change[0]}", change[1])), change


def test_a_cancellation_is_not_taken_back(apiserver: ApiServer, namespace: str) -> None:
    said(apiserver, namespace, changed(SAGA, "spec.cancel", True))
    assert "cancel cannot be taken back" in said(apiserver, namespace, changed(SAGA, "spec.cancel", False))


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("http://user:secret@inventory:8080", "must hold no user or password"),
        ("inventory:8080", "write http:// or https://, a host"),
        ("http://inventory:8080?x=1", "without a query"),
        ("http://inventory:abc", "must be an address that can be called"),
        ("http://inventory:99999", "must be an address that can be called"),
        ("http://inventory:0", "must be an address that can be called"),
        ("http://[::1", "must be an address that can be called"),
        ("http://exa_mple..com", "must be an address that can be called"),
        ("http://" + "i" * 64, "must be an address that can be called"),
    ],
)
def test_a_participant_needs_a_plain_address(apiserver: ApiServer, namespace: str, url: str, advice: str) -> None:
    answer = said(apiserver, namespace, changed(PARTICIPANT, "spec.url", url))
    assert advice in answer
    assert "evaluating rule" not in answer


@pytest.mark.parametrize(
    "url", ["https://exa_mple.com.", "http://[::1]:80/base", "http://10.0.0.1:65535", "http://a.b.c:8080/"]
)
def test_an_address_that_can_be_called_is_taken(apiserver: ApiServer, namespace: str, url: str) -> None:
    assert "created" in said(apiserver, namespace, changed(PARTICIPANT, "spec.url", url))


@pytest.mark.parametrize("name", ["inventory.v2", "i" * 64])
def test_a_name_that_nothing_could_refer_to_is_refused(apiserver: ApiServer, namespace: str, name: str) -> None:
    for manifest, referring in ((PARTICIPANT, "participantRef"), (DEFINITION, "definitionRef")):
        answer = said(apiserver, namespace, changed(manifest, "metadata.name", name))
        assert "at most 63 characters and no dot" in answer
        assert referring in answer
    replica = said(apiserver, namespace, changed(of_kind("Replica"), "metadata.name", name))
    assert "at most 55 characters and no dot" in replica


def of_kind(kind: str) -> Object:
    return next(document for document in documents("shop") if document["kind"] == kind)


@pytest.mark.parametrize(
    ("path", "value", "advice"),
    [
        ("spec.target.deletedAtColumn", None, "name that column, or use onDelete Delete"),
        ("spec.target.table", "customers", "write the table with its schema, as schema.table"),
        ("spec.batch", {"maxWait": "now"}, "write a duration"),
        ("spec.target.columns.0.name", "source_version", "columns must not name keyColumn or versionColumn"),
        ("spec.target.columns.1.name", "email", "Duplicate value"),
        ("spec.target.columns.0.type", "money", "Unsupported value"),
        ("spec.source.topics", [], "should have at least 1 items"),
        ("spec.batch", {"maxRecords": 0}, "should be greater than or equal to 1"),
    ],
)
def test_a_wrong_replica_is_refused_with_advice(
    apiserver: ApiServer, namespace: str, path: str, value: Any, advice: str
) -> None:
    assert advice in said(apiserver, namespace, changed(of_kind("Replica"), path, value))


def test_a_replica_keeps_its_table(apiserver: ApiServer, namespace: str) -> None:
    replica = of_kind("Replica")
    said(apiserver, namespace, replica)
    answer = said(apiserver, namespace, changed(replica, "spec.target.table", "invoices.people"))
    assert "make a Replica of another name" in answer


@pytest.mark.parametrize(
    ("path", "value", "advice"),
    [
        ("spec.table", "outbox", "write the table with its schema in lower case"),
        ("spec.retention", "a week", "write a duration"),
        ("spec.events", [], "should have at least 1 items"),
        ("spec.events", ["a", "a"], "Duplicate value"),
        ("spec.events", ["a b"], "spec.events[0]"),
        ("spec.events", None, "list events for the route ByEventType"),
        ("spec.aggregateTypes", ["Order"], "list either events or aggregateTypes"),
        ("spec.route", "ByTheMoon", "spec.route: Unsupported value"),
        ("spec.columns", {"aggregateId": "Order Id"}, "spec.columns.aggregateId"),
        ("spec.partitions", 0, "should be greater than or equal to 1"),
        ("spec.captureSecretRef", None, "spec.captureSecretRef: Required value"),
    ],
)
def test_a_wrong_outbox_is_refused_with_advice(
    apiserver: ApiServer, namespace: str, path: str, value: Any, advice: str
) -> None:
    assert advice in said(apiserver, namespace, changed(of_kind("Outbox"), path, value))


def test_sagas_can_be_selected_by_definition_and_phase(apiserver: ApiServer, namespace: str) -> None:
    said(apiserver, namespace, SAGA)
    status = {"status": {"phase": "InterventionRequired"}}
    apiserver.kubectl(
        "patch", "saga", "one", "-n", namespace, "--subresource=status", "--type=merge", "-p", yaml.safe_dump(status)
    )
    selector = "spec.definitionRef.name=place,status.phase=InterventionRequired"
    found = apiserver.kubectl("get", "sg", "-n", namespace, "--field-selector", selector, "-o", "name")
    assert found.split() == ["saga.kompensa.dev/one"]


@pytest.mark.parametrize("kind", ["participant", "sagadefinition", "saga", "outbox", "replica"])
def test_explain_describes_every_field(apiserver: ApiServer, kind: str) -> None:
    for path in (kind, f"{kind}.spec", f"{kind}.status", f"{kind}.status.conditions"):
        explained = apiserver.kubectl("explain", path)
        # Kubernetes itself describes the metadata of every object.
        assert "<no description>" not in explained, path
