"""Objects of our kinds as they are read from YAML files."""

from pathlib import Path

import pytest

from kompensa.manifests.documents import ManifestError, load, of_kind, parse

TWO_OBJECTS = """
apiVersion: kompensa.dev/v1alpha1
kind: Participant
metadata: {name: inventory, namespace: shop}
spec: {url: "http://inventory.shop.svc:8080"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: none-of-ours}
---
apiVersion: kompensa.dev/v1alpha1
kind: Outbox
metadata: {name: orders}
spec: {table: orders.outbox}
"""


def test_objects_of_other_groups_are_left_alone() -> None:
    found = parse(TWO_OBJECTS, source="test.yaml")
    assert [str(document) for document in found] == ["Participant shop/inventory", "Outbox shop/orders"]


def test_a_list_is_read_as_its_items() -> None:
    listed = """
    kind: List
    apiVersion: v1
    items:
    - {apiVersion: kompensa.dev/v1alpha1, kind: Participant, metadata: {name: a}, spec: {url: "http://a"}}
    - {apiVersion: kompensa.dev/v1alpha1, kind: Participant, metadata: {name: b}, spec: {url: "http://b"}}
    """
    assert [document.name for document in parse(listed, source="list.yaml")] == ["a", "b"]


def test_the_later_of_two_with_one_name_counts(tmp_path: Path) -> None:
    for name, url in (("1.yaml", "http://first"), ("2.yaml", "http://second")):
        text = f"apiVersion: kompensa.dev/v1alpha1\nkind: Participant\nmetadata: {{name: x}}\nspec: {{url: {url}}}\n"
        (tmp_path / name).write_text(text)
    assert [document.spec["url"] for document in load([tmp_path])] == ["http://second"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "bad.yaml is not valid YAML"),
        ("apiVersion: kompensa.dev/v1alpha1\nkind: Saga\nspec: {}", "lacks kind or metadata.name"),
        ("apiVersion: kompensa.dev/v1alpha1\nkind: Saga\nmetadata: {name: x}", "Saga x has no spec"),
    ],
)
def test_what_cannot_be_used_is_named(text: str, complaint: str) -> None:
    with pytest.raises(ManifestError, match=complaint):
        parse(text, source="bad.yaml")


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nothing\.yaml: no such file"):
        load([tmp_path / "nothing.yaml"])


def test_a_file_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes("# Müller".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"latin\.yaml is not text in UTF-8 \(byte 4\)"):
        load([tmp_path])


def test_the_shops_own_manifests_are_complete() -> None:
    documents = load([Path(__file__).parents[3] / "manifests" / "shop"])
    assert {document.name for document in of_kind(documents, "Participant")} >= {"inventory", "payments", "orders"}
    assert "create-order" in {document.name for document in of_kind(documents, "SagaDefinition")}
    assert of_kind(documents, "Outbox")
    assert of_kind(documents, "Replica")
