"""Checking a saga's input against the definition's JSON Schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jsonschema_rs
from msgspec import json

FINDINGS_SHOWN = 5
LONGEST_FINDING = 200
DEEPEST = 64
"""Levels of nesting. Whatever is done with an input goes through it level by level, and a stack has an end."""
LEAVES_OPEN = frozenset({"allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas"})
"""Keywords by which other members than those of `properties` may be described."""


_DIGITS_ALIKE = bytes.maketrans(b"0123456789", b"0" * 10)
_LONG_NUMBER = b"0" * 19


class SchemaError(ValueError):
    """The schema itself is not a valid JSON Schema."""


class InputSchema:
    """A compiled schema; cheap to ask, made once for each revision.

    References to other documents are refused: a definition's author must not make the engine fetch addresses or read
    files.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.source = schema
        try:
            self._validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, offline=True)
        except (ValueError, TypeError) as error:
            raise SchemaError(str(error).splitlines()[0]) from error

    def findings(self, value: Any) -> list[str]:
        """What does not fit, each as `path: what was expected`; empty when all fits. At most a handful."""
        if self._validator.is_valid(value):
            return _unusable(value)
        found = []
        for error in self._validator.iter_errors(value):
            path = ".".join(str(part) for part in error.instance_path) or "(the input itself)"
            found.append(f"{path}: {error.message[:LONGEST_FINDING]}")
            if len(found) == FINDINGS_SHOWN:
                break
        return found

    def declares(self, path: Sequence[str]) -> bool:
        """Whether `input.<path>` can exist by this schema. What the schema leaves open counts as declared."""
        node = self._resolved(self.source)
        for name in path:
            properties = node.get("properties")
            if isinstance(properties, Mapping) and name in properties:
                node = self._resolved(properties[name])
            else:
                return _is_open(node)
        return True

    def _resolved(self, node: Any) -> Mapping[str, Any]:
        """The schema a local `$ref` leads to, where it says nothing else."""
        for _ in range(10):  # a circle of references is possible
            if not isinstance(node, Mapping):
                return {}
            reference = node.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/") or "properties" in node:
                return node
            node = self.source
            for part in reference[2:].split("/"):
                node = node.get(part) if isinstance(node, Mapping) else None
        return {}


def _is_open(node: Mapping[str, Any]) -> bool:
    """Whether a schema allows members that it does not name.

    By the standard it does unless told otherwise; but whoever lists properties and reads one that is not among them
    has almost surely misspelt it.
    """
    if node.keys() & LEAVES_OPEN:
        return True
    if "additionalProperties" in node:
        return node["additionalProperties"] is not False
    return "properties" not in node


def _unusable(value: Any) -> list[str]:
    """What a JSON document may hold, but would fail far from here: CEL cuts text off after a NUL and has 64 bits.

    Counting and searching the text are a quick look that may err; the walk decides. A pattern would take four times as
    long.
    """
    text = json.encode(value)
    if text.count(b"[") + text.count(b"{") > DEEPEST and _is_deeper(value, DEEPEST):
        return [f"(the input itself): nested deeper than {DEEPEST} levels; flatten it"]
    if b"\\u0000" not in text and _LONG_NUMBER not in text.translate(_DIGITS_ALIKE):
        return []
    if _holds(value, lambda member: isinstance(member, str) and "\0" in member):
        return ["(the input itself): contains a NUL character; remove it"]
    if _holds(value, lambda member: isinstance(member, int) and not -(2**63) <= member < 2**63):
        return ["(the input itself): contains an integer beyond 64 bits; write it as a string"]
    return []


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        layer = [m for v in layer for m in (v.values() if isinstance(v, Mapping) else v if isinstance(v, list) else ())]
    return bool(layer)


def _holds(value: Any, unwanted: Callable[[Any], bool]) -> bool:
    if isinstance(value, Mapping):
        return any(unwanted(key) or _holds(member, unwanted) for key, member in value.items())
    if isinstance(value, list):
        return any(_holds(member, unwanted) for member in value)
    return unwanted(value)
