"""Checking a saga's input against the definition's JSON Schema (draft 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jsonschema_rs

FINDINGS_SHOWN = 5


class SchemaError(ValueError):
    """The schema itself is not a valid JSON Schema."""


class InputSchema:
    """A compiled schema; cheap to ask, made once for each revision."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.source = schema
        try:
            self._validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True)
        except (ValueError, TypeError) as error:
            raise SchemaError(str(error).splitlines()[0]) from error

    def findings(self, value: Any) -> list[str]:
        """What does not fit, each as `path: what was expected`; empty when all fits. At most a handful."""
        if self._validator.is_valid(value):
            return []
        found = []
        for error in self._validator.iter_errors(value):
            path = ".".join(str(part) for part in error.instance_path) or "(the input itself)"
            found.append(f"{path}: {error.message[:200]}")
            if len(found) == FINDINGS_SHOWN:
                break
        return found

    def declares(self, path: tuple[str, ...]) -> bool:
        """Whether `input.<path>` can exist by this schema. What the schema leaves open counts as declared."""
        node: Any = self.source
        for name in path:
            if not isinstance(node, Mapping):
                return True
            properties = node.get("properties")
            if not (isinstance(properties, Mapping) and name in properties):
                closed = isinstance(properties, Mapping) and "additionalProperties" not in node
                return not closed and node.get("additionalProperties") is not False
            node = properties[name]
        return True
