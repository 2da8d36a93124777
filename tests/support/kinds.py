"""The kinds as their CRDs describe them: a table of a spec's fields, as the reference shows it."""

import functools
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.support.documentation import ROOT

Schema = dict[str, Any]
FOLDER = ROOT / "charts/kompensa/files/crds"
BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "maxProperties": "at most {} entries",
    "maxLength": "at most {} characters",
}
TYPES = {"string": "text", "integer": "whole number", "number": "number", "object": "object", "array": "list"}


@functools.cache
def schema_of(kind: str) -> Schema:
    """The openAPIV3Schema of a kind's only version."""
    for path in FOLDER.glob("*.yaml"):
        spec = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)["spec"]
        if spec["names"]["kind"] == kind:
            schema: Schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
            return schema
    raise AssertionError(f"there is no kind {kind}")


def fields(kind: str) -> list[str]:
    """A line of a table for each field of a kind's spec. Fields that are described already are left out."""
    told: dict[str, str] = {}
    spec = schema_of(kind)["properties"]["spec"]
    return [f"| `{path}` | {value} | {meaning} |" for path, value, meaning in _fields(spec, "", told)]


def _fields(schema: Schema, path: str, told: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    required = schema.get("required", ())
    for name, nested in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        inner = nested.get("items", nested)
        known = told.setdefault(repr(inner.get("properties", here)), here)
        again = "" if known == here else f" Its fields are those of `{known}`."
        yield here, _value(nested, required=name in required), _prose(nested) + again
        if not again:
            yield from _fields(inner, here + ("[]" if "items" in nested else ""), told)


def _value(schema: Schema, *, required: bool) -> str:
    said = [_type(schema)]
    if said[0] in TYPES.values():
        said += [text.format(schema[bound]) for bound, text in BOUNDS.items() if bound in schema]
    if required:
        said.append("**required**")
    elif schema.get("default") not in (None, {}):
        said.append(f"default {_spelled(schema['default'])}")
    return ", ".join(said)


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if any("a duration" in rule["message"] for rule in schema.get("x-kubernetes-validations", ())):
        return "duration"
    return TYPES.get(schema.get("type", ""), "any value")


def _spelled(default: object) -> str:
    if isinstance(default, dict):
        return ", ".join(f"{name} {value}" for name, value in default.items())
    return f"`{default}`"


def _prose(schema: Schema) -> str:
    """The description, without what the column before it says already."""
    return re.sub(r" \(default[^)]*\)", "", " ".join(schema.get("description", "").split()))
