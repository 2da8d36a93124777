"""What JSON can hold, but nothing beyond here could bear: depth, NUL characters, integers beyond 64 bits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import json

DEEPEST = 64
"""Levels of nesting. Whatever is done with a value goes through it level by level, and a stack has an end."""

_DIGITS_ALIKE = bytes.maketrans(b"0123456789", b"0" * 10)
_LONG_NUMBER = b"0" * 19


def unusable(value: Any) -> str | None:
    """Why a value would fail far from here, or None: CEL cuts text off after a NUL and has integers of 64 bits.

    Counting and searching the text are a quick look that may err; the walk decides. A pattern would take four times as
    long.
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
    """Whether mappings and lists are nested in more levels than that."""
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
