"""Checking a saga's input against the definition's JSON Schema (draft 2020-12)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import jsonschema_rs

from kompensa.model.bounds import unusable

FINDINGS_SHOWN = 5
LONGEST_FINDING = 200
LEAVES_OPEN = frozenset({"$dynamicRef", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas"})
"""Keywords that may describe members that are not in `properties`."""
_ANYTHING: Mapping[str, Any] = {"additionalProperties": True}
_OUTSIDE = re.compile(r"Resource ('.*?') is not present in a registry")


class SchemaError(ValueError):
    """The schema itself is not a valid JSON Schema."""


class InputSchema:
    """A compiled schema, made once for each revision.

    References to other documents are rejected. Otherwise the author of a definition could make the engine fetch URLs or
    read files.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.source = schema
        try:
            self._validator = jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, offline=True)
        except (ValueError, TypeError) as error:
            raise SchemaError(_in_words(error)) from error

    def findings(self, value: Any) -> list[str]:
        """The first few reasons why the value does not match, each as `path: reason`. Empty if it matches."""
        if self._validator.is_valid(value):
            fault = unusable(value)
            return [f"(the input itself): {fault}"] if fault else []
        found = []
        for error in self._validator.iter_errors(value):
            path = ".".join(str(part) for part in error.instance_path) or "(the input itself)"
            found.append(f"{path}: {_shortened(error.message)}")
            if len(found) == FINDINGS_SHOWN:
                break
        return found

    def declares(self, path: Sequence[str]) -> bool:
        """Whether the schema allows `input.<path>`. If the schema does not say, the answer is yes."""
        parts = self._parts([self.source])
        for name in path:
            found = [part["properties"][name] for part in parts if name in _properties(part)]
            if not found:
                return _is_open(parts)
            parts = self._parts(found)
        return True

    def _parts(self, nodes: Sequence[Any]) -> list[Mapping[str, Any]]:
        """All schemas that one value must match: the nodes, the targets of their `$ref`s, members of their `allOf`s.

        References may form a circle, so each schema is visited once.
        """
        parts: list[Mapping[str, Any]] = []
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if not isinstance(node, Mapping) or any(node is part for part in parts):
                continue
            parts.append(node)
            waiting += node.get("allOf", ())
            if "$ref" in node:
                waiting.append(self._referred(node["$ref"]))
        return parts

    def _referred(self, reference: str) -> Any:
        """The schema that a reference into this document names, for example `#/$defs/address`.

        An anchor or a URL of this document is not followed. It counts as a schema that allows any member, so that the
        linter does not report a mistake where there is none.
        """
        if reference != "#" and not reference.startswith("#/"):
            return _ANYTHING
        node: Any = self.source
        for part in reference[1:].split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            node = node[int(name)] if isinstance(node, list) else node.get(name, _ANYTHING)
        return node


def _properties(part: Mapping[str, Any]) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = part.get("properties", {})
    return properties


def _is_open(parts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a value that must match all these schemas may have members that none of them names.

    By the standard it may, unless a schema forbids it. But if an author lists properties and then uses another one, it
    is almost surely misspelt. So listed properties count as all properties.
    """
    if any(part.keys() & LEAVES_OPEN or part.get("additionalProperties", False) is not False for part in parts):
        return True
    return not any("properties" in part or "additionalProperties" in part for part in parts)


def _shortened(message: str) -> str:
    """A message quotes the value and then says what is wrong with it. So a long one loses its middle."""
    if len(message) <= LONGEST_FINDING:
        return message
    kept = LONGEST_FINDING // 2
    return f"{message[:kept]} ... {message[-kept:]}"


def _in_words(error: Exception) -> str:
    """The error in one line. A reference to another document gets a message of its own with a remedy."""
    line = str(error).splitlines()[0]
    outside = _OUTSIDE.match(line)
    if outside is None:
        return line
    return (
        f"$ref {outside[1]} leads out of this schema, and the engine fetches nothing; copy the schema that it names "
        "into $defs, and refer to it, for example, as #/$defs/address"
    )
