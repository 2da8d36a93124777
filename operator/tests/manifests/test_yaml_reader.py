"""A file means to us what it means to kubectl; the JSON files are kubectl's own output.

Another version of kubectl: `kubectl annotate --local -f values.yaml kubectl- -o json`.
"""

import json
from pathlib import Path

import pytest

from kompensa.manifests.documents import ManifestError, load, parse
from kompensa.manifests.yaml_reader import documents

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", ["values", "numbers", "structure"])
def test_values_are_those_of_kubectl(name: str) -> None:
    (read,) = documents((GOLDEN / f"{name}.yaml").read_text())
    assert exact(read["spec"]) == exact(json.loads((GOLDEN / f"{name}.json").read_text())["spec"])


def exact(value: object) -> object:
    """The value with its types: True is not 1 here, and a number beyond 64 bits is a float."""
    if isinstance(value, dict):
        return {key: exact(each) for key, each in value.items()}
    if isinstance(value, list):
        return [exact(each) for each in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ("number", float(value) if abs(value) >= 2**63 else value)
    return (type(value).__name__, value)


@pytest.mark.parametrize("text", ["a: .inf", "a: .NaN", "? [1, 2]\n: x", "~: x", "a:\n\t- x", "a: @x", "a: x: y"])
def test_a_text_that_kubectl_rejects_is_rejected(text: str) -> None:
    with pytest.raises(ManifestError):
        parse(text, source="a.yaml")


SAGA = "apiVersion: kompensa.dev/v1alpha1\nkind: Saga\nmetadata: {name: a}\nspec:\n  input: {due: 2026-01-01}\n"


@pytest.mark.parametrize(
    "text",
    [
        SAGA,
        "\ufeff" + SAGA,
        SAGA.replace("\n", "\r\n"),
        f"---\n# nothing\n---\n{SAGA}---\n",
        "apiVersion: v1\nkind: List\nitems:\n- " + SAGA.strip().replace("\n", "\n  "),
        "apiVersion: kompensa.dev/v1alpha1\nkind: SagaList\nitems:\n- " + SAGA.strip().replace("\n", "\n  "),
    ],
    ids=["plain", "byte-order-mark", "crlf", "empty-documents", "list", "list-of-kind"],
)
def test_an_object_is_found_in_every_form_that_kubectl_takes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode())
    (saga,) = load([path])
    assert saga.spec == {"input": {"due": "2026-01-01"}}


@pytest.mark.parametrize("metadata", ["[a]", "{name: 12}", "{name: 2026}", "text"])
def test_metadata_that_no_object_can_have_is_an_error_with_the_file(metadata: str) -> None:
    with pytest.raises(ManifestError, match=r"a\.yaml"):
        parse(SAGA.replace("{name: a}", metadata), source="a.yaml")
