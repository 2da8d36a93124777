"""`${...}` in definitions: CEL, compiled once for each revision.

A string that is one single `${expression}` keeps the expression's type (a list stays a list); any other string is
text with the values put in. Mappings and lists are templates of their members. Only the declared roots exist, so a
misspelt root is found when the definition is read, not when a customer's order is half-way.

The CEL library returns evaluation errors as values of type ERROR; they are raised here as `ExpressionError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cel_expr_python import cel

ROOTS = ("input", "saga", "steps", "reply", "operation")
"""What an expression may name. `reply` only in outputs; `operation` has key, step and direction."""

_ENVIRONMENT = cel.NewEnv(variables=dict.fromkeys(ROOTS, cel.Type.DYN))
_PLACEHOLDER = re.compile(r"\$\{((?:[^{}'\"]|'[^']*'|\"[^\"]*\"|\{[^{}]*\})*)\}")
_STRING = re.compile(r"""'[^']*'|"[^"]*\"""")
_REFERENCE = re.compile(
    r"""(?<![\w.'"])(?P<root>"""
    + "|".join(ROOTS)
    + r""")\b(?P<path>(?:\.[A-Za-z_]\w*|\[\s*'[^']*'\s*\]|\[\s*"[^"]*"\s*\])*)"""
)
_MEMBER = re.compile(r"""\.([A-Za-z_]\w*)|\[\s*['"]([^'"]*)['"]\s*\]""")


class ExpressionError(ValueError):
    """An expression that cannot be compiled, or that has no value for this saga. The message shows the expression."""


class Reference(tuple[str, ...]):
    """A path an expression names, root first: ("steps", "create-order", "orderId")."""


class _Expression:
    def __init__(self, source: str) -> None:
        self.source = source.strip()
        try:
            self._compiled = _ENVIRONMENT.compile(self.source)
        except RuntimeError as error:
            detail = str(error).removeprefix("INVALID_ARGUMENT: ").split(" [INVALID_ARGUMENT]")[0]
            raise ExpressionError(f"${{{self.source}}} does not compile: {detail}") from error

    def value(self, activation: Any) -> Any:
        result = self._compiled.eval(activation)
        if result.type() == cel.Type.ERROR:
            raise ExpressionError(f"${{{self.source}}} has no value: {result.plain_value()}")
        return result.plain_value()

    def references(self) -> Iterator[Reference]:
        for match in _REFERENCE.finditer(self.source):
            if _inside_string(self.source, match.start()):
                continue
            members = [a or b for a, b in _MEMBER.findall(match["path"])]
            if self.source[match.end() :].lstrip().startswith("(") and members:
                members.pop()  # a call such as input.items.size(): the last name is a function, not a field
            yield Reference((match["root"], *members))


def _inside_string(source: str, position: int) -> bool:
    return any(found.start() < position < found.end() for found in _STRING.finditer(source))


class Scope:
    """The values expressions see. Building the CEL activation is what costs, so one scope serves a whole request."""

    __slots__ = ("_activation",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._activation = _ENVIRONMENT.Activation({root: values.get(root) or {} for root in ROOTS})

    @property
    def activation(self) -> Any:
        return self._activation


class Template:
    """Any JSON value whose strings may contain `${...}`."""

    __slots__ = ("_compiled", "constant", "source")

    def __init__(self, source: Any) -> None:
        self.source = source
        self._compiled = _compile(source)
        self.constant = not any(True for _ in _expressions(self._compiled))

    def render(self, scope: Scope) -> Any:
        """The value for this scope. Raises ExpressionError where an expression has none."""
        return self.source if self.constant else _render(self._compiled, scope.activation)

    def references(self) -> list[Reference]:
        """Every path its expressions name."""
        return [reference for expression in _expressions(self._compiled) for reference in expression.references()]


class _Text(tuple[Any, ...]):
    """Alternating literal text and expressions."""


def _compile(source: Any) -> Any:
    if isinstance(source, str):
        return _compile_text(source)
    if isinstance(source, Mapping):
        return {str(key): _compile(value) for key, value in source.items()}
    if isinstance(source, list | tuple):
        return [_compile(value) for value in source]
    return source


def _compile_text(source: str) -> Any:
    if "${" not in source:
        return source
    whole = _PLACEHOLDER.fullmatch(source)
    if whole:
        return _Expression(whole[1])
    parts: list[Any] = []
    end = 0
    for match in _PLACEHOLDER.finditer(source):
        parts += [source[end : match.start()], _Expression(match[1])]
        end = match.end()
    rest = source[end:]
    if "${" in rest:
        raise ExpressionError(f"{source!r} has a '${{' that is not closed")
    return _Text((*parts, rest))


def _expressions(compiled: Any) -> Iterator[_Expression]:
    if isinstance(compiled, _Expression):
        yield compiled
    elif isinstance(compiled, Mapping):
        for value in compiled.values():
            yield from _expressions(value)
    elif isinstance(compiled, list | _Text):
        for value in compiled:
            yield from _expressions(value)


def _render(compiled: Any, activation: Any) -> Any:
    if isinstance(compiled, _Expression):
        return compiled.value(activation)
    if isinstance(compiled, dict):
        return {key: _render(value, activation) for key, value in compiled.items()}
    if isinstance(compiled, list):
        return [_render(value, activation) for value in compiled]
    if isinstance(compiled, _Text):
        return "".join(_spell(_render(part, activation)) for part in compiled)
    return compiled


def _spell(value: Any) -> str:
    """A value inside text. A list or map has no spelling there; asking for one is a mistake worth an error."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if value is None:
        return ""
    raise ExpressionError(f"a {type(value).__name__} cannot be put into text; use ${{...}} as the whole value")
