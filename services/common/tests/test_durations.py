"""One grammar of durations for kinds, settings and the API."""

from __future__ import annotations

import re

import pytest

from kompensa_common.durations import PATTERN, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("200ms", 0.2),
        ("2s", 2.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("7d", 604_800.0),
        ("1d12h", 129_600.0),
        ("0s", 0.0),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, value: float) -> None:
    assert seconds(text) == pytest.approx(value)
    assert re.search(PATTERN, text)


@pytest.mark.parametrize(
    "text", ["", "5", "5 s", "-5s", "s", "5S", "5w", "1h-30m", "infd", "1e3d", "5s\n", "٥s", ".5s"]
)
def test_anything_else_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


def test_the_message_quotes_what_was_written() -> None:
    with pytest.raises(ValueError, match="'5 minutes'"):
        seconds("5 minutes")
