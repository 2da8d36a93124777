"""`${...}` in definitions: CEL, compiled once for each revision.

A string that consists of one `${expression}` takes the type of the expression: a list stays a list. Any other string
becomes text with the values put in. In a mapping or a list, each member is a template. Only the roots in `ROOTS` exist,
so a misspelt root is reported when the definition is declared, not in the middle of a customer's order.

Most expressions only name a place, for example `input.items` or `steps['create-order'].orderId`. Those are looked up
without CEL. That is ten times cheaper, and the value stays as it is; the CEL library rejects integers beyond 64 bits
and cuts strings off at a NUL.

Any other expression gets only the values that it names. So a value that CEL cannot hold is an error only in the
expressions that name it. The CEL library returns some errors as values of type ERROR; here they are raised.

The same values must give the same result, byte by byte, since each attempt of a call must send the same body. CEL's
maps have no order. So maps in a result are sorted, and an expression that makes a list from a map is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any
from urllib.parse import quote

from cel_expr_python import cel
from msgspec import json

from kompensa.model.bounds import unusable

ROOTS = ("input", "saga", "steps", "reply", "operation")
"""The names that an expression may begin with. `template_linter` says which of them each field may use."""

_ENVIRONMENT = cel.NewEnv(variables=dict.fromkeys(ROOTS, cel.Type.DYN))
_STRING = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_TOKEN = re.compile(rf"{_STRING.pattern}|[{{}}]", re.DOTALL)
# Names with an escape in them are left to CEL, which can decode them.
_MEMBER = re.compile(r"""\.([A-Za-z_]\w*)|\[\s*'([^'\\]*)'\s*\]|\[\s*"([^"\\]*)"\s*\]""")
_REFERENCE = re.compile(rf"""(?<![\w.'"])(?P<root>{"|".join(ROOTS)})\b(?P<path>(?:{_MEMBER.pattern})*)""")
_ORDERED = frozenset({"map", "filter"})
"""CEL's macros whose result is a list in the order of their source."""
_PATH_LITERAL = "/?&=:@,;+$!*'()~-._%"


class ExpressionError(ValueError):
    """An expression does not compile, or has no value for this saga. The message shows the expression."""


class Reference(tuple[str, ...]):
    """A path in an expression, root first: ("steps", "create-order", "orderId")."""


class Scope:
    """The values that expressions see."""

    __slots__ = ("values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values

    def at(self, place: Sequence[str]) -> Any:
        """The value at a place.

        Raises
        ------
        LookupError
            There is none. Its argument is the missing name.
        """
        found: Any = self.values
        for name in place:
            if not isinstance(found, dict) or name not in found:  # values are JSON, and `Mapping` takes longer to ask
                raise LookupError(name)
            found = found[name]
        return found


class _Expression:
    """One compiled `${...}`. `place` is set if it only names a place."""

    __slots__ = ("_compiled", "_named", "_ranges", "place", "source")

    def __init__(self, source: str) -> None:
        self.source = source.strip()
        try:
            self._compiled = _ENVIRONMENT.compile(self.source)
        except RuntimeError as error:
            detail = str(error).removeprefix("INVALID_ARGUMENT: ").split(" [INVALID_ARGUMENT]")[0]
            raise ExpressionError(f"${{{self.source}}} does not compile: {detail}") from error
        whole = _REFERENCE.fullmatch(self.source)
        self.place = _reference(whole) if whole else None
        called = list(self._called())
        self._named = _widest({reference for reference, _ in called})
        self._ranges = {reference for reference, function in called if function in _ORDERED}

    def value(self, scope: Scope) -> Any:
        """The value in this scope.

        Raises
        ------
        ExpressionError
            There is none, or JSON cannot hold it.
        """
        if self.place is None:
            return self._evaluated(scope)
        try:
            return scope.at(self.place)
        except LookupError as error:
            raise ExpressionError(f"${{{self.source}}} has no value: there is no {error.args[0]!r}") from error

    def _evaluated(self, scope: Scope) -> Any:
        activation = _ENVIRONMENT.Activation(self._named_values(scope))
        try:
            result = self._compiled.eval(activation)
        except RuntimeError as error:
            raise ExpressionError(f"${{{self.source}}} cannot be evaluated: {error}") from error
        if result.type() == cel.Type.ERROR:
            raise ExpressionError(f"${{{self.source}}} has no value: {result.plain_value()}")
        try:
            return _as_json(result.plain_value())
        except (TypeError, ValueError, RecursionError) as error:
            raise ExpressionError(f"${{{self.source}}} cannot be written as JSON: {error}") from error

    def _named_values(self, scope: Scope) -> dict[str, Any]:
        """All roots, reduced to the places that the expression names and that exist."""
        values: dict[str, Any] = {root: {} for root in ROOTS}
        for place in self._named:
            value = _copied(place, scope.values, values)
            if fault := unusable(value):
                raise ExpressionError(f"${{{self.source}}} cannot be evaluated: {'.'.join(place)} {fault}")
            if place in self._ranges and isinstance(value, Mapping):
                made_of = f"${{{self.source}}} makes a list of {'.'.join(place)}"
                raise ExpressionError(f"{made_of}, a map, which has no order; go through a list")
        return values

    def references(self) -> Iterator[Reference]:
        return (reference for reference, _ in self._called())

    def _called(self) -> Iterator[tuple[Reference, str | None]]:
        """Each named place, and the function that the expression calls on it, if any."""
        strings = [(found.start(), found.end()) for found in _STRING.finditer(self.source)]
        for match in _REFERENCE.finditer(self.source):
            if any(start < match.start() < end for start, end in strings):
                continue
            reference = _reference(match)
            is_call = self.source[match.end() :].lstrip().startswith("(")
            # In a call such as input.items.size() the last name is a function, not a field.
            if is_call and len(reference) > 1:
                yield Reference(reference[:-1]), reference[-1]
            else:
                yield reference, None


def _widest(places: set[Reference]) -> list[Reference]:
    """The places that are not inside another of them."""
    return sorted(place for place in places if not any(place[:length] in places for length in range(1, len(place))))


def _copied(place: Reference, source: Mapping[str, Any], target: dict[str, Any]) -> Any:
    """Copy the value at a place, and the maps around it, into `target`. Return the last value copied, or None."""
    for name in place[:-1]:
        if name not in source:
            return None
        found = source[name]
        if not isinstance(found, Mapping):
            target[name] = found
            return found
        source, target = found, target.setdefault(name, {})
    if place[-1] in source:
        target[place[-1]] = source[place[-1]]
    return target.get(place[-1])


def _as_json(value: Any) -> Any:
    """A value of CEL as it would be after writing it as JSON and reading it again: bytes and times become text.

    Maps are sorted, since CEL's own order differs between two evaluations.

    Raises
    ------
    ValueError
        The value contains a number that is not finite. The encoder would write null for it.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError(f"{value} is not a finite number")
        return value
    if isinstance(value, list):
        return [_as_json(member) for member in value]
    if isinstance(value, dict):
        return {
            key: _as_json(member) for key, member in sorted((spelled(key), member) for key, member in value.items())
        }
    return json.decode(json.encode(value))


def _reference(match: re.Match[str]) -> Reference:
    return Reference((match["root"], *("".join(names) for names in _MEMBER.findall(match["path"]))))


class Template:
    """Any JSON value whose strings may contain `${...}`."""

    __slots__ = ("_as_path", "_compiled", "constant", "source")

    def __init__(self, source: Any) -> None:
        self.source = source
        self._compiled = _compile(source)
        self.constant = not any(True for _ in _expressions(self._compiled))
        self._as_path = _escaped(source) if self.constant and isinstance(source, str) else None

    def render(self, scope: Scope) -> Any:
        """The value in this scope.

        Raises
        ------
        ExpressionError
            An expression has no value.
        """
        return self.source if self.constant else _render(self._compiled, scope)

    def render_path(self, scope: Scope) -> str:
        """A URL path. Values are percent-encoded, so that no value can change which resource the path names.

        Only `operation.key` keeps its slashes, since the engine makes it.
        """
        if self._as_path is not None:
            return self._as_path
        text = ""
        for part in self._compiled if isinstance(self._compiled, _Text) else (self._compiled,):
            text += _escaped(part) if isinstance(part, str) else _path_value(part, scope, in_query="?" in text)
        return text

    def references(self) -> list[Reference]:
        """Every path that the expressions name."""
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
    parts: list[Any] = []
    end = 0
    while (start := source.find("${", end)) >= 0:
        parts.append(source[end:start])
        end = _end_of_placeholder(source, start)
        parts.append(_Expression(source[start + 2 : end - 1]))
    parts.append(source[end:])
    if len(parts) == 1:
        return source
    return parts[1] if len(parts) == 3 and not parts[0] and not parts[2] else _Text(parts)


def _end_of_placeholder(source: str, start: int) -> int:
    """The index after the brace that closes the `${` at `start`. Braces in strings do not count."""
    open_braces = 0
    for token in _TOKEN.finditer(source, start + 1):
        open_braces += {"{": 1, "}": -1}.get(token[0], 0)
        if open_braces == 0:
            return token.end()
    raise ExpressionError(f"{source!r} has a '${{' that is not closed")


def _expressions(compiled: Any) -> Iterator[_Expression]:
    if isinstance(compiled, _Expression):
        yield compiled
    elif isinstance(compiled, Mapping):
        for value in compiled.values():
            yield from _expressions(value)
    elif isinstance(compiled, list | _Text):
        for value in compiled:
            yield from _expressions(value)


def _render(compiled: Any, scope: Scope) -> Any:
    if isinstance(compiled, _Expression):
        return compiled.value(scope)
    if isinstance(compiled, dict):
        return {key: _render(value, scope) for key, value in compiled.items()}
    if isinstance(compiled, list):
        return [_render(value, scope) for value in compiled]
    if isinstance(compiled, _Text):
        return "".join(spelled(_render(part, scope)) for part in compiled)
    return compiled


def spelled(value: Any) -> str:
    """A value inside text. Lists and maps are rejected: putting one into text is almost surely a mistake."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    if value is None:
        return ""
    raise ExpressionError(f"a {type(value).__name__} cannot be put into text; use ${{...}} as the whole value")


def _escaped(literal: str) -> str:
    return quote(literal, safe=_PATH_LITERAL)


def _path_value(expression: _Expression, scope: Scope, *, in_query: bool) -> str:
    text = spelled(expression.value(scope))
    if not in_query and text in ("", ".", ".."):
        raise ExpressionError(f"${{{expression.source}}} is {text!r}, which would lead to another path")
    return quote(text, safe="/" if expression.place == ("operation", "key") else "")
