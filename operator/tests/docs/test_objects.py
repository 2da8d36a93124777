"""Every Kompensa object that a page shows would be accepted: by the kind's schema, and by the code that reads it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from kompensa.model.parsing import parse_definition, parse_participant, parse_saga
from kompensa_cdc.capture import database_from_secret, outbox_from_object
from kompensa_cdc.replicas.spec import replica_from_object
from tests.support.documentation import ROOT
from tests.support.kinds import schema_of

Object = dict[str, Any]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "charts").rglob("*.md"), *(ROOT / "manifests").rglob("*.md")])
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)
READ: dict[str, Callable[[Object], object]] = {
    "Participant": lambda it: parse_participant(it["spec"]),
    "SagaDefinition": lambda it: parse_definition(it["spec"]),
    "Saga": lambda it: parse_saga(it["spec"]),
    "Outbox": lambda it: outbox_from_object(it["metadata"]["namespace"], it["metadata"]["name"], it["spec"]),
    "Replica": replica_from_object,
}


def shown() -> Iterator[tuple[Path, Object]]:
    for page in PAGES:
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            for document in yaml.safe_load_all(block):
                if isinstance(document, dict) and "kind" in document:
                    yield page, document


SHOWN = [(page, document) for page, document in shown() if document["apiVersion"].startswith("kompensa.dev/")]


def closed(schema: Any) -> Any:
    """The schema, with no room for fields that it does not name; the API server would drop them."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(each) for name, each in schema.items()}
    free = {"x-kubernetes-preserve-unknown-fields", "additionalProperties"} & schema.keys()
    return inner | {"additionalProperties": False} if isinstance(schema.get("properties"), dict) and not free else inner


def validator(kind: str) -> jsonschema_rs.Draft202012Validator:
    schema = closed(schema_of(kind))
    anything: Object = {"apiVersion": {}, "kind": {}, "metadata": {}}
    return jsonschema_rs.Draft202012Validator(schema | {"properties": schema["properties"] | anything})


@pytest.mark.parametrize(
    ("page", "document"), SHOWN, ids=[f"{page.name}-{it['kind']}-{it['metadata']['name']}" for page, it in SHOWN]
)
def test_an_object_that_is_shown_would_be_accepted(page: Path, document: Object) -> None:
    errors = validator(document["kind"]).iter_errors(document)
    found = [f"{page.name}: {'.'.join(map(str, error.instance_path))}: {error.message}" for error in errors]
    assert not found
    READ[document["kind"]](document)


def test_the_guides_show_objects() -> None:
    assert {document["kind"] for _, document in SHOWN} == set(READ)


def test_the_secrets_that_an_outbox_names_are_complete() -> None:
    secrets = {it["metadata"]["name"]: it for _, it in shown() if it["kind"] == "Secret"}
    for _, outbox in SHOWN:
        for reference in ("databaseSecretRef", "captureSecretRef"):
            if outbox["kind"] == "Outbox":
                name = outbox["spec"][reference]["name"]
                database_from_secret(name, secrets[name]["stringData"])
