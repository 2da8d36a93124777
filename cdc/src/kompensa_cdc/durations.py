"""Durations as users write them in objects ("200ms", "2s", "5m", "168h"); kept as text there, as seconds here."""

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Return the seconds that `text` means.

    Raises
    ------
    ValueError
        If it is not a whole number followed by ms, s, m, h or d.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: expected a whole number and a unit, such as 200ms, 2s, 5m or 1h")
    return int(match[1]) * _SECONDS[match[2]]
