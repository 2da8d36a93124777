"""The fault switch's header."""

from __future__ import annotations

import pytest

from kompensa_participant.faults import Fault, parse
from kompensa_participant.problem import Problem


def test_a_fault_is_read_with_its_parameters() -> None:
    assert parse("fail-after-commit; status=502; attempts=2; direction=action") == Fault(
        kind="fail-after-commit", status=502, attempts=2, direction="action"
    )
    assert parse("delay;seconds=0.5") == Fault(kind="delay", seconds=0.5)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("explode", "knows delay"),
        ("delay; second=3", "not second"),
        ("delay; seconds=90", "between 0 and 60"),
        ("delay; seconds=nan", "between 0 and 60"),
        ("refuse; status=200", "between 400 and 599"),
        ("refuse; attempts=two", "invalid literal"),
        ("refuse; direction=sideways", "action or compensation"),
    ],
)
def test_a_misspelt_fault_says_what_is_wrong(header: str, told: str) -> None:
    with pytest.raises(Problem, match=told):
        parse(header)


@pytest.mark.parametrize(("attempt", "direction", "applies"), [(2, "action", True), (3, "action", False)])
def test_a_fault_ends_after_its_attempts(attempt: int, direction: str, applies: bool) -> None:
    assert parse("delay; attempts=2").applies(attempt=attempt, direction=direction) is applies


def test_a_fault_stays_in_its_direction() -> None:
    assert not parse("delay; direction=action").applies(attempt=1, direction="compensation")
