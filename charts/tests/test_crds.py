"""The kinds: bounded everywhere, described everywhere, and in agreement with the code that reads them.

tests/integration/test_crds.py applies them to a real API server.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
import yaml

from charts.tests.rendering import CHARTS, Helm, Object
from kompensa.cluster.replica_status import replica_fields
from kompensa.model.parsing import parse_definition, parse_participant, parse_saga
from kompensa.model.specs import ParticipantSpec, SagaDefinitionSpec, SagaSpec
from kompensa.model.view import CompensationView, SagaView, StepView
from kompensa_cdc.capture.delivery import Delivery
from kompensa_cdc.capture.outbox import outbox_from_object
from kompensa_cdc.capture.status import OutboxStatus
from kompensa_cdc.replicas.declaration import SpecFields
from kompensa_cdc.replicas.spec import replica_from_object
from kompensa_common import durations

MANIFESTS = CHARTS.parent / "manifests"
FILES = sorted((CHARTS / "kompensa/files/crds").glob("*.yaml"))
CRDS: dict[str, Object] = {
    crd["spec"]["names"]["kind"]: crd for crd in (yaml.load(path.read_text(), yaml.CSafeLoader) for path in FILES)
}
MODELS = {
    "Participant": ParticipantSpec,
    "SagaDefinition": SagaDefinitionSpec,
    "Saga": SagaSpec,
    "Replica": SpecFields,
}
# A worker that is given a file and DATABASE_URL needs no Secret.
EXCEPTIONS = {"Replica": ["spec.target: databaseSecretRef is required on one side only"]}
VALUES_SCHEMA = CHARTS / "kompensa/values.schema.json"
# A pattern that names the unit ms is one of durations.
DURATION_PATTERN = re.compile(r"\^\S*\(ms\|\S*?\$")
LARGEST = 256 * 1024


def schema_of(kind: str) -> Object:
    (version,) = CRDS[kind]["spec"]["versions"]
    schema: Object = version["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Object, path: str) -> Iterator[tuple[str, Object]]:
    """Every schema below `schema`, with its path."""
    yield path, schema
    for name, nested in schema.get("properties", {}).items():
        yield from nodes(nested, f"{path}.{name}")
    for group, suffix in (("items", "[]"), ("additionalProperties", ".*")):
        if isinstance(schema.get(group), dict):
            yield from nodes(schema[group], path + suffix)


def all_nodes() -> list[tuple[str, Object]]:
    return [node for kind in CRDS for node in nodes(schema_of(kind), kind)]


def test_every_list_map_and_text_is_bounded() -> None:
    for path, node in all_nodes():
        if node.get("type") == "array":
            assert "maxItems" in node, path
        if node.get("type") == "string" and "enum" not in node and node.get("format") != "date-time":
            assert "maxLength" in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


def test_only_free_form_payload_keeps_unknown_fields() -> None:
    free = {path for path, node in all_nodes() if node.get("x-kubernetes-preserve-unknown-fields")}
    calls = {f"SagaDefinition.spec.steps[].{call}.http.body" for call in ("action", "compensation", "probe")}
    assert free == calls | {
        "SagaDefinition.spec.inputSchema",
        "Saga.spec.input",
        "Saga.status.result",
        "Saga.status.steps[].outputs",
        "Replica.spec.eventSchema",
    }


def test_every_field_is_described() -> None:
    for path, node in all_nodes():
        listed = path.endswith(("[]", ".*"))
        assert listed or len(node.get("description", "")) > 5, path


def test_every_rule_says_what_to_do() -> None:
    rules = [(path, rule) for path, node in all_nodes() for rule in node.get("x-kubernetes-validations", [])]
    assert len(rules) > 15
    for path, rule in rules:
        assert len(rule["message"].split()) >= 5, path


@pytest.mark.parametrize("kind", CRDS)
def test_each_kind_has_status_columns_a_short_name_and_our_category(kind: str) -> None:
    spec = CRDS[kind]["spec"]
    (version,) = spec["versions"]
    assert version["subresources"] == {"status": {}}
    assert spec["names"]["categories"] == ["kompensa"]
    assert spec["names"]["shortNames"]
    assert version["additionalPrinterColumns"][-1]["name"] == "Age"


@pytest.mark.parametrize("kind", CRDS)
def test_conditions_have_the_form_that_kubernetes_tools_read(kind: str) -> None:
    conditions = schema_of(kind)["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    assert set(conditions["items"]["required"]) == {"type", "status", "reason", "message", "lastTransitionTime"}


@pytest.mark.parametrize("kind", CRDS)
def test_each_kind_is_small_enough_for_a_plain_apply(kind: str) -> None:
    assert len(yaml.safe_dump(CRDS[kind])) < LARGEST / 4


def test_saga_columns_are_those_that_the_documentation_shows() -> None:
    (version,) = CRDS["Saga"]["spec"]["versions"]
    shown = [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["Definition", "Phase", "Step", "Progress", "Reason", "Age"]


def test_uninstalling_keeps_the_kinds_unless_asked(helm: Helm) -> None:
    kept = helm.render("kompensa").of("CustomResourceDefinition")
    assert {crd["metadata"]["name"] for crd in kept} == {crd["metadata"]["name"] for crd in CRDS.values()}
    assert all(crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for crd in kept)
    dropped = helm.render("kompensa", {"crds": {"keep": False}}).of("CustomResourceDefinition")
    assert dropped
    assert not any("annotations" in crd["metadata"] for crd in dropped)
    assert not helm.render("kompensa", {"crds": {"enabled": False}}).of("CustomResourceDefinition")


# operator/src/kompensa/model/specs.py and cdc/src/kompensa_cdc/replicas/declaration.py read what these schemas accept.


@pytest.mark.parametrize("kind", MODELS)
def test_schema_and_model_have_the_same_fields_defaults_and_bounds(kind: str) -> None:
    found = list(differences(schema_of(kind)["properties"]["spec"], MODELS[kind], "spec"))
    assert found == EXCEPTIONS.get(kind, [])


def differences(schema: Object, model: Any, path: str) -> Iterator[str]:
    """Each difference between a struct and the schema, field by field."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(model)}
    if fields.keys() != schema["properties"].keys():
        yield f"{path}: {sorted(fields.keys() ^ schema['properties'].keys())} on one side only"
        return
    required = {name for name, field in fields.items() if field.required}
    for name in sorted(required ^ set(schema.get("required", []))):
        yield f"{path}: {name} is required on one side only"
    for name, field in fields.items():
        node = schema["properties"][name]
        yield from _default_differs(node, field, f"{path}.{name}")
        yield from _type_differs(node, field.type, f"{path}.{name}")


def _default_differs(node: Object, field: msgspec.structs.FieldInfo, path: str) -> Iterator[str]:
    default = field.default_factory() if field.default is msgspec.NODEFAULT and not field.required else field.default
    if default in (msgspec.NODEFAULT, msgspec.UNSET, None):
        if "default" in node:
            yield f"{path}: only the schema has a default"
        return
    plain = msgspec.to_builtins(default)
    if "default" not in node:
        yield f"{path}: only the model has a default, {plain}"
    elif node["default"] != plain and not _filled(node, plain):
        yield f"{path}: default {node['default']} or {plain}"


def _filled(node: Object, plain: Any) -> bool:
    """An empty object as default, which the API server fills with the fields' own defaults."""
    if node["default"] != {} or not isinstance(plain, dict):
        return False
    own = {name: field["default"] for name, field in node.get("properties", {}).items() if "default" in field}
    given = {name: value for name, value in plain.items() if value is not None}
    return own.keys() == given.keys() and all(
        own[name] == value or _filled(node["properties"][name], value) for name, value in given.items()
    )


def _type_differs(node: Object, kind: Any, path: str) -> Iterator[str]:
    kind, meta = _unwrapped(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from differences(node, kind, path)
        return
    if get_origin(kind) is list:
        yield from _type_differs(node["items"], get_args(kind)[0], f"{path}[]")
    bounds = {
        # Python's $ matches before a last newline, too; Go's does not.
        "pattern": meta.pattern.replace(r"(?!\n)$", "$") if meta and meta.pattern else None,
        "minimum": meta.ge if meta else None,
        "maximum": meta.le if meta else None,
    }
    if get_origin(kind) is list:
        bounds |= {"minItems": meta.min_length if meta else None, "maxItems": meta.max_length if meta else None}
    elif get_origin(kind) is dict:
        bounds["maxProperties"] = meta.max_length if meta else None
    elif kind is str and meta is not None:
        bounds["maxLength"] = meta.max_length
    for name, value in bounds.items():
        stated = pattern_of(node) if name == "pattern" else node.get(name)
        if value is not None and stated != value:
            yield f"{path}: {name} {stated} or {value}"


def pattern_of(node: Object) -> str | None:
    """The pattern of a text: a rule rather than `pattern`, since a rule says in words what to write."""
    rules = (rule["rule"] for rule in node.get("x-kubernetes-validations", []))
    found = (re.fullmatch(r'self\.matches\(r"(.*)"\)', rule) for rule in rules)
    return next((match.group(1) for match in found if match), node.get("pattern"))


def _unwrapped(kind: Any) -> tuple[Any, msgspec.Meta | None]:
    """A type without `| None`, `| UnsetType` and Annotated, and the bounds that it was annotated with."""
    if get_origin(kind) in (Union, UnionType):
        kinds = [part for part in get_args(kind) if part not in (type(None), msgspec.UnsetType)]
        return _unwrapped(kinds[0]) if len(kinds) == 1 else (kind, None)
    if hasattr(kind, "__metadata__"):
        return kind.__origin__, kind.__metadata__[0]
    return kind, None


def test_a_status_has_every_field_that_is_written_into_it() -> None:
    """The API server silently drops a field that the schema does not have."""
    saga = schema_of("Saga")["properties"]["status"]["properties"]
    step = saga["steps"]["items"]["properties"]
    outside = {"id", "namespace", "name", "definition"}
    assert saga.keys() == (encoded(SagaView) - outside) | {"observedGeneration"}
    assert step.keys() == encoded(StepView)
    assert step["compensation"]["properties"].keys() == encoded(CompensationView)
    outbox = schema_of("Outbox")["properties"]["status"]["properties"]
    shown = OutboxStatus(
        connector="c", slot="s", publication="p", published=frozenset({1}), delivery=Delivery(delivered=1.0)
    )
    written = shown.as_status()
    assert outbox.keys() == written.keys() | {"observedGeneration", "conditions"}
    replica = schema_of("Replica")["properties"]["status"]["properties"]
    answered = replica_fields(dict.fromkeys(replica, 1))
    assert replica.keys() == answered.keys() | {"observedGeneration", "conditions"}


def encoded(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


def test_every_duration_of_every_kind_and_value_follows_one_grammar() -> None:
    written = [
        pattern
        for file in [*FILES, VALUES_SCHEMA]
        for pattern in DURATION_PATTERN.findall(file.read_text().replace("\\\\", "\\"))
    ]
    assert set(written) == {durations.PATTERN}
    fields = {path for path, node in all_nodes() if pattern_of(node) == durations.PATTERN}
    assert {path for path, node in all_nodes() if is_duration(node.get("default"))} <= fields
    assert {"Outbox.spec.retention", "Replica.spec.batch.maxWait", "SagaDefinition.spec.deadline"} <= fields


def is_duration(default: object) -> bool:
    return isinstance(default, str) and re.fullmatch(r"[0-9.]+(ms|s|m|h|d)", default) is not None


READERS = {
    "Participant": lambda item: parse_participant(item["spec"]),
    "SagaDefinition": lambda item: parse_definition(item["spec"]),
    "Saga": lambda item: parse_saga(item["spec"]),
    "Outbox": lambda item: outbox_from_object("shop", item["metadata"]["name"], item["spec"]),
    "Replica": replica_from_object,
}


@pytest.mark.parametrize("path", sorted([*MANIFESTS.glob("shop/*.yaml"), *MANIFESTS.glob("sagas/*.yaml")]), ids=str)
def test_our_manifests_can_be_read(path: Path) -> None:
    for item in yaml.safe_load_all(path.read_text()):
        READERS[item["kind"]](item)
