"""Checking a saga's input against the definition's JSON Schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs

from kompensa.model.bounds import unusable

FINDINGS_SHOWN = 5
LONGEST_FINDING = 200
LEAVES_OPEN = frozenset({"allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas"})
"""Keywords by which other members than those of `properties` may be described."""


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
            fault = unusable(value)
            return [f"(the input itself): {fault}"] if fault else []
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
        """The schema with what its local `$ref` leads to: both hold, so the properties of both are declared."""
        found: dict[str, Any] = {}
        for _ in range(10):  # a circle of references is possible
            if not isinstance(node, Mapping):
                return found
            properties = {**(node.get("properties") or {}), **found.get("properties", {})}
            found = {**node, **found, **({"properties": properties} if properties else {})}
            reference = node.get("$ref")
            if not isinstance(reference, str) or not reference.startswith("#/"):
                return found
            node = self.source
            for part in reference[2:].split("/"):
                node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        return found


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
