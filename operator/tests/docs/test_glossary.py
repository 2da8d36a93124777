"""docs/glossary.md: the terms of the text, each with code that shows it and a test that holds it."""

import re
from pathlib import Path

import pytest

from tests.support.documentation import DOCS, missing_tests

PAGE = DOCS / "glossary.md"
TERMS = [
    "ACID",
    "Aggregate",
    "Bounded context",
    "CAP theorem",
    "Command",
    "Eventual consistency",
    "CQRS",
    "Database per service",
    "Event sourcing",
    "Foreign key",
    "Projection",
    "Query",
    "Saga",
    "Soft delete",
    "Soft reference",
    "Source of truth",
    "Two-phase commit",
]
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def rows(page: Path) -> list[tuple[str, ...]]:
    """Term, meaning, code and test of each row."""
    return [row for row in ROW.findall(page.read_text(encoding="utf-8")) if not row[0].startswith(("term", "---"))]


def test_every_term_of_the_text_is_there_in_its_order() -> None:
    assert [term for term, *_ in rows(PAGE)] == TERMS


@pytest.mark.parametrize("row", rows(PAGE), ids=lambda row: str(row[0]))
def test_a_term_names_code_and_a_test_that_exist(row: tuple[str, ...]) -> None:
    _, meaning, code, held_by = row
    assert meaning
    assert "](../" in code
    assert missing_tests(held_by, PAGE) == []


def test_both_languages_name_the_same_code_and_tests() -> None:
    targets = [re.findall(r"\]\((\.\./[^)]+)\)", " ".join(row)) for row in rows(PAGE)]
    assert targets == [re.findall(r"\]\((\.\./[^)]+)\)", " ".join(row)) for row in rows(PAGE.with_suffix(".pt.md"))]
