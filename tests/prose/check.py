"""Hold prose against the rules of `rules.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.prose.passages import Passage

RULES = Path(__file__).with_name("rules.yaml")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]*]*\s+(?=[A-Z\"'(\[*0-9])|(?<=[.!?:])\n(?=[-*] )")
# An abbreviation does not end a sentence.
ABBREVIATION = re.compile(r"\b(e\.g|i\.e|etc|vs|cf|No)\.")
EXCUSE = re.compile(r"prose: ok ([a-z-]+): \w.+")


@dataclass(frozen=True)
class Rule:
    """One thing that plain English avoids.

    Attributes
    ----------
    start
        Look at the beginning of a sentence only.
    words
        The longest sentence, in words; such a rule has no pattern.
    """

    id: str
    use: str
    why: str
    pattern: re.Pattern[str] | None = None
    start: bool = False
    headings: bool = True
    words: int = 0
    examples: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """A place that breaks a rule."""

    path: Path
    line: int
    rule: Rule
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule.id}: {self.text!r}; use: {self.rule.use} ({self.rule.why})"


@cache
def rules() -> tuple[Rule, ...]:
    """The rules, as the data file has them."""
    return tuple(_rule(each) for each in yaml.safe_load(RULES.read_text(encoding="utf-8")))


def _rule(given: dict[str, Any]) -> Rule:
    flags = 0 if given.get("case") else re.IGNORECASE
    pattern = re.compile(given["pattern"], flags) if "pattern" in given else None
    return Rule(
        id=given["id"],
        use=given["use"],
        why=given["why"],
        pattern=pattern,
        start=given.get("start", False),
        headings=given.get("headings", True),
        words=given.get("words", 0),
        examples=tuple(given.get("examples", ())),
        allowed=tuple(given.get("allowed", ())),
    )


def check(passages: Iterable[Passage]) -> Iterator[Finding]:
    """Findings in `passages`, without those that their own line excuses."""
    for passage in passages:
        parts = list(sentences(passage.text))
        for rule in rules():
            if passage.kind != "heading" or rule.headings:
                found = (_finding(passage, rule, at, text) for at, text in _matches(passage, parts, rule))
                yield from (each for each in found if not excused(each))


def _matches(passage: Passage, parts: list[tuple[int, str]], rule: Rule) -> Iterator[tuple[int, str]]:
    """The places where the passage breaks the rule: offset, and the words that do."""
    if rule.pattern is None:
        for at, sentence in parts:
            words = sentence.split()
            if len(words) > rule.words:
                yield at, f"{' '.join(words[:8])} ... ({len(words)} words)"
    elif rule.start:
        for at, sentence in parts:
            match = rule.pattern.match(sentence.lstrip("*\"'("))
            if match and not sentence.rstrip("*\"')").endswith("?"):
                yield at, match.group()
    else:
        yield from ((match.start(), match.group()) for match in rule.pattern.finditer(passage.text))


def _finding(passage: Passage, rule: Rule, offset: int, text: str) -> Finding:
    line = passage.line + passage.text.count("\n", 0, offset)
    return Finding(passage.path, line, rule, " ".join(text.split()))


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a text, each with its offset."""
    masked = ABBREVIATION.sub(lambda found: found.group()[:-1] + "\N{ONE DOT LEADER}", text)
    start = 0
    for end in SENTENCE_END.finditer(masked):
        yield start, masked[start : end.start()]
        start = end.end()
    if masked[start:].strip():
        yield start, masked[start:]


def excused(finding: Finding) -> bool:
    """Whether the finding's line, or the one before it, says `prose: ok RULE: reason`."""
    rows = _lines(finding.path)
    near = rows[max(0, finding.line - 2) : finding.line]
    return any(found.group(1) == finding.rule.id for row in near if (found := EXCUSE.search(row)))


@cache
def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
