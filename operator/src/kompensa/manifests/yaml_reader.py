"""YAML as kubectl reads it, so that a file means the same to `kompensa apply` and to a cluster.

kubectl turns YAML into JSON by the rules of Go's parser: `2026-01-01` and `12:30` are text, `yes` and `on` are true,
`010` is 8, and keys become text. PyYAML's own rules differ in each of these. `operator/tests/manifests/golden` holds
files with kubectl's output.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

_TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INT64 = range(-(2**63), 2**63)

_STRING = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.SafeLoader):
    """PyYAML's syntax with our own rules for plain values, tags and keys."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- PyYAML's attribute

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        return {self._key(key): self.construct_object(value, deep=True) for key, value in node.value}

    def _key(self, node: yaml.Node) -> str:
        value = self.construct_object(node, deep=True)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int):
            return str(value)
        if isinstance(value, float):
            return f"{value:g}"
        raise yaml.constructor.ConstructorError(
            None, None, "a key must be text, a number or a boolean", node.start_mark
        )

    def plain(self, node: yaml.ScalarNode) -> Any:
        """A scalar without a tag: text if it is quoted or a block."""
        return resolved(node.value) if node.style is None else node.value

    def scalar_of_tag(self, suffix: str, node: yaml.Node) -> Any:
        """A node with a tag that changes nothing or that we do not know: a scalar is text."""
        if isinstance(node, yaml.ScalarNode):
            return node.value
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return self.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # the third kind of node

    def number(self, node: yaml.ScalarNode) -> Any:
        """A scalar with the tag int or float, quoted or not."""
        return resolved(node.value)

    def text_of_bytes(self, node: yaml.ScalarNode) -> str:
        return self.construct_yaml_binary(node).decode()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Mark the merge keys for PyYAML, which finds them by their tag."""
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None:
                key.tag = _MERGE
        super().flatten_mapping(node)


_Loader.yaml_constructors = {
    _STRING: _Loader.plain,
    "tag:yaml.org,2002:seq": lambda loader, node: loader.construct_sequence(node, deep=True),
    "tag:yaml.org,2002:map": lambda loader, node: loader.construct_mapping(node, deep=True),
    "tag:yaml.org,2002:int": _Loader.number,
    "tag:yaml.org,2002:float": _Loader.number,
    "tag:yaml.org,2002:bool": _Loader.number,
    "tag:yaml.org,2002:null": _Loader.number,
    "tag:yaml.org,2002:binary": _Loader.text_of_bytes,
}
_Loader.yaml_multi_constructors = {"": _Loader.scalar_of_tag}


def documents(text: str) -> Iterator[Any]:
    """The documents of a YAML text as JSON values; an empty one is None.

    Raises
    ------
    yaml.YAMLError
        If the text is not YAML, or has no form in JSON: for example infinite numbers and keys that are lists.
    """
    return yaml.load_all(text, Loader=_Loader)


def resolved(plain: str) -> Any:
    """The JSON value of a plain scalar.

    Raises
    ------
    yaml.YAMLError
        If it is infinite or not a number, which JSON does not know.
    """
    if plain in _TRUE:
        return True
    if plain in _FALSE:
        return False
    if plain in _NULL:
        return None
    if _INFINITE.fullmatch(plain):
        raise yaml.YAMLError(f"{plain} has no form in JSON: put it in quotes, or use a number")
    return _number(plain) if plain[0] in "+-.0123456789" else plain


def _number(plain: str) -> Any:
    digits = plain.replace("_", "")
    if _INTEGER.fullmatch(digits):
        return _fitting(_integer(digits))
    if not _FLOAT.fullmatch(digits) or math.isinf(number := float(digits)):
        return plain
    return _fitting(int(number)) if number.is_integer() and int(number) in _INT64 else number


def _integer(digits: str) -> int:
    sign, bare = (-1 if digits[0] == "-" else 1), digits.lstrip("+-")
    octal = len(bare) > 1 and bare[0] == "0" and bare[1].isdigit()
    return sign * (int(bare, 8) if octal else int(bare, 0))


def _fitting(number: int) -> int | float:
    """Numbers beyond 64 bits lose their last digits on the way through kubectl."""
    return number if number in _INT64 else float(number)
