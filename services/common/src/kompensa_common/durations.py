"""Durations as people write them in objects and settings: `250ms`, `1.5s`, `5m`, `1h30m`, `7d`."""

from __future__ import annotations

import re

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$"
"""The same grammar as a regular expression, for the schemas of the kinds."""
EXAMPLES = "250ms, 1.5s, 5m, 1h30m or 7d"
"""For messages."""
_WHOLE = re.compile(PATTERN.removeprefix("^").removesuffix("$"))


def seconds(text: str) -> float:
    """Return the seconds that `text` means.

    Raises
    ------
    ValueError
        If `text` is not one or more numbers, each with a unit: ms, s, m, h or d.
    """
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration; expected for example {EXAMPLES}")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
