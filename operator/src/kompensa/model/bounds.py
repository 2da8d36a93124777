"""Values that are valid JSON and would still fail later: deep nesting, NUL characters, integers beyond 64 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import json

DEEPEST = 64
"""Levels of nesting. Recursive functions walk through values, and the stack is limited."""

_DIGITS_ALIKE = bytes.maketrans(b"0123456789", b"0" * 10)
_LONG_NUMBER = b"0" * 19


def unusable(value: Any) -> str | None:
    """Why the value would fail later, or None. CEL cuts text off after a NUL, and its integers have 64 bits.

    Searching the encoded text is quick, but may raise a false alarm: the digits may be in a string, for example. Only
    then is the value walked through, which decides. A regular expression would take four times as long.
    """
    text = json.encode(value)
    if text.count(b"[") + text.count(b"{") > DEEPEST and is_deeper(value, DEEPEST):
        return f"nested deeper than {DEEPEST} levels; flatten it"
    if b"\\u0000" not in text and _LONG_NUMBER not in text.translate(_DIGITS_ALIKE):
        return None
    if _holds(value, lambda member: isinstance(member, str) and "\0" in member):
        return "contains a NUL character; remove it"
    if _holds(value, lambda member: isinstance(member, int) and not -(2**63) <= member < 2**63):
        return "contains an integer beyond 64 bits; write it as a string"
    return None


def is_deeper(value: Any, levels: int) -> bool:
    """Whether dicts and lists are nested in more than `levels` levels."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [m for v in layer for m in (v.values() if isinstance(v, dict) else v if isinstance(v, list) else ())]
        if not layer:
            return False
    return True


def _holds(value: Any, unwanted: Callable[[Any], bool]) -> bool:
    if isinstance(value, Mapping):
        return any(unwanted(key) or _holds(member, unwanted) for key, member in value.items())
    if isinstance(value, list):
        return any(_holds(member, unwanted) for member in value)
    return unwanted(value)
