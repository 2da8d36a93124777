"""A Portuguese page has the outline, the code and the tables of the English one."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.documentation import ROOT

FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^(#+) ", re.MULTILINE)
CONCEPTS = sorted(page for page in (ROOT / "docs/concepts").glob("*.md") if not page.name.endswith(".pt.md"))
TRANSLATED = [ROOT / "README.md", ROOT / "docs/glossary.md", *CONCEPTS]


def translation(page: Path) -> Path:
    return page.with_suffix(".pt.md")


def levels(text: str) -> list[int]:
    """The levels of the headings, in order."""
    return [len(marks) for marks in HEADING.findall(FENCE.sub("", text))]


def rows(text: str) -> int:
    return len(re.findall(r"^\|", FENCE.sub("", text), re.MULTILINE))


def code(text: str) -> list[str]:
    return FENCE.findall(text)


COMPARED: dict[str, Callable[[str], object]] = {"headings": levels, "code": code, "rows of tables": rows}


def differences(english: str, portuguese: str) -> list[str]:
    """The names of the parts in which the two pages differ."""
    return [part for part, of in COMPARED.items() if of(english) != of(portuguese)]


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_both_pages_have_the_same_outline_and_code(page: Path) -> None:
    english, portuguese = (each.read_text(encoding="utf-8") for each in (page, translation(page)))
    assert not differences(english, portuguese), f"change {translation(page).name} together with {page.name}"


@pytest.mark.parametrize("page", TRANSLATED, ids=lambda page: page.name)
def test_both_pages_link_to_each_other(page: Path) -> None:
    assert f"({translation(page).name})" in page.read_text(encoding="utf-8")
    assert f"({page.name})" in translation(page).read_text(encoding="utf-8")


def test_every_translation_has_an_original() -> None:
    found = {page for folder in ("docs", "charts", "services") for page in (ROOT / folder).rglob("*.pt.md")}
    assert found | set(ROOT.glob("*.pt.md")) == {translation(page) for page in TRANSLATED}


@pytest.mark.parametrize(
    ("planted", "part"),
    [
        ("# A\n\n### B\n```sh\nx\n```\n| a |\n", "headings"),
        ("# A\n\n## B\n```sh\ny\n```\n| a |\n", "code"),
        ("# A\n\n## B\n```sh\nx\n```\n", "rows of tables"),
    ],
)
def test_a_planted_difference_is_found(planted: str, part: str) -> None:
    assert differences("# A\n\n## B\n```sh\nx\n```\n| a |\n", planted) == [part]
