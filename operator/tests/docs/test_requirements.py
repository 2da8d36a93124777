"""docs/requirements.md: one row for each requirement, and every link and test that a row names is there."""

import re

import pytest

from tests.support.documentation import NAMED_TEST, ROOT, missing_tests

PAGE = ROOT / "docs" / "requirements.md"
NUMBERS = [*(f"S{number}" for number in range(1, 83)), *(f"F{number}" for number in range(1, 24))]
NOT_BUILT = "not built yet"
CELLS = re.compile(r"^\| ([SF]\d+) \|(.*)\|(.*)\|(.*)\|(.*)\|$", re.MULTILINE)


def rows() -> list[tuple[str, ...]]:
    """Number, request, places where it is built, tests, missing parts."""
    return [tuple(cell.strip() for cell in row) for row in CELLS.findall(PAGE.read_text(encoding="utf-8"))]


def test_each_requirement_has_one_row_in_order() -> None:
    assert [number for number, *_ in rows()] == NUMBERS


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row[0]))
def test_what_is_built_names_tests_that_exist(row: tuple[str, ...]) -> None:
    number, asked, built, held_by, missing = row
    assert asked, number
    if built == NOT_BUILT:
        assert not NAMED_TEST.findall(held_by), f"{number} is not built and cannot be tested"
        assert not missing, f"{number} is not built: nothing of it can be missing"
        return
    assert built, number
    assert missing_tests(held_by, PAGE) == [], number
