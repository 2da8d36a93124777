"""Each rule finds what it is there for, and leaves plain English alone."""

from pathlib import Path

import pytest

from tests.prose.__main__ import ROOT, everything, main
from tests.prose.check import Rule, check, rules, sentences
from tests.prose.passages import CODE, Passage

NOWHERE = Path(__file__)
PLANTED = [(rule, example) for rule in rules() for example in rule.examples]
PLAIN = [(rule, example) for rule in rules() for example in rule.allowed]


def found(text: str, kind: str = "text") -> set[str]:
    passage = Passage(NOWHERE, 1, kind, CODE.sub("CODE", text))
    return {finding.rule.id for finding in check([passage])}


@pytest.mark.parametrize(("rule", "example"), PLANTED, ids=[f"{rule.id}-{text[:20]}" for rule, text in PLANTED])
def test_a_planted_defect_is_found(rule: Rule, example: str) -> None:
    assert rule.id in found(example)


@pytest.mark.parametrize(("rule", "example"), PLAIN, ids=[f"{rule.id}-{text[:20]}" for rule, text in PLAIN])
def test_plain_english_is_left_alone(rule: Rule, example: str) -> None:
    assert rule.id not in found(example)


def test_every_rule_has_an_example_a_suggestion_and_a_reason() -> None:
    assert all((rule.examples or rule.words) and rule.use and rule.why for rule in rules())
    assert len({rule.id for rule in rules()}) == len(rules())


def test_a_long_sentence_is_found_and_two_short_ones_are_not() -> None:
    clause = "the operator restarts the connector again and again "
    assert found(f"{clause * 5}.") == {"long-sentence"}
    assert not found(f"{clause.capitalize() * 2}. {clause.capitalize() * 3}.")


def test_quoted_code_is_not_prose() -> None:
    assert not found("the class `Mend` and ``tell`` stay")


def test_headings_may_begin_with_what() -> None:
    assert found("What is sent") == {"clause-noun"}
    assert not found("What is sent", "heading")


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    assert [text for _, text in sentences("A URL, e.g. X, is fine. B follows.")][1] == "B follows."


def test_a_line_may_be_excused_by_rule_and_with_a_reason(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- prose: ok tell: a quotation -->\nhe told and mended it\n", encoding="utf-8")
    passage = Passage(page, 2, "text", "he told and mended it")  # prose: ok mend: planted
    assert {finding.rule.id for finding in check([passage])} == {"mend"}


def test_an_excuse_without_a_reason_does_not_count(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- prose: ok tell: -->\nhe told it\n", encoding="utf-8")
    assert list(check([Passage(page, 2, "text", "he told it")]))


def test_the_whole_repository_is_checked_and_a_finding_fails_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("The operator restarts the connector.\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["prose"])
    assert {ROOT / "README.md", ROOT / "docs", ROOT / "operator"} <= set(everything())
    monkeypatch.setattr("tests.prose.__main__.everything", lambda: [page])
    assert main() == 0
    page.write_text("The connector is born.\n", encoding="utf-8")  # prose: ok born: planted
    assert main() == 1
    assert "page.md:1: born" in capsys.readouterr().out
