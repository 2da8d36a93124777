"""Prose of YAML, Helm templates, Makefiles and SQL: comments, descriptions and messages. Plain lines are enough."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

COMMENT = re.compile(r"(?:^|\s)#+ ?(?!!)(.*)$")
SQL_COMMENT = re.compile(r"(?:^|\s)--+ ?(.*)$")
DESCRIBED = re.compile(r"^(\s*)(?:- )?[{]?(description|message|summary):\s*(.*)$")
DESCRIBED_INSIDE = re.compile(r"\b(?:description|message): (\"[^\"]+\"|'[^']+')")
BLOCK = re.compile(r"^[>|][+-]?\d?$")
FAILS = re.compile(r"\b(?:fail|printf|required)\b[^\"`]*[\"`]([^\"`]{15,})[\"`]")
NOTE = re.compile(r"[{]{2}-?/\*\s*(.*?)\s*\*/-?[}]{2}", re.DOTALL)
ACTION = re.compile(r"[{]{2}.*?[}]{2}")
HELP = re.compile(r"^[a-z-]+:.*?## (.*)$")


def read(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield comments, `description:` and `message:` values, and what a template fails with."""
    rows = text.splitlines()
    yield from joined(_matches(rows, COMMENT))
    yield from _described(rows)
    for number, row in enumerate(rows, 1):
        for found in FAILS.findall(row):
            yield number, "message", re.sub(r"%[a-z]", "CODE", found)
    for note in NOTE.finditer(text):
        yield text.count("\n", 0, note.start()) + 1, "text", note.group(1)


def read_sql(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield comments of SQL."""
    yield from joined(_matches(text.splitlines(), SQL_COMMENT))


def read_notes(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the lines of a chart's NOTES.txt."""
    for number, row in enumerate(text.splitlines(), 1):
        plain = ACTION.sub("CODE", row).strip()
        if " " in plain and not row.startswith("  "):
            yield number, "text", plain


def read_schema(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the descriptions of a JSON schema."""
    for number, row in enumerate(text.splitlines(), 1):
        for found in re.findall(r'"(?:description|title)":\s*("(?:[^"\\]|\\.)*")', row):
            yield number, "text", str(json.loads(found))


def _matches(rows: Iterable[str], pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    for number, row in enumerate(rows, 1):
        target = HELP.search(row)
        found = target or pattern.search(row)
        if found and (target or _outside_quotes(row, found.start())):
            yield number, found.group(1).strip()
            if row[: found.start()].strip():
                yield number, ""  # the end: a comment behind code does not go on in the next line


def _outside_quotes(row: str, at: int) -> bool:
    before = row[:at]
    return before.count('"') % 2 == 0 and before.count("'") % 2 == 0


def joined(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """Join comments on lines that follow each other; an empty one or a list item begins another passage."""
    block: list[str] = []
    start = last = 0
    for number, text in rows:
        if block and (number > last + 1 or not text or text.startswith(("- ", "@"))):
            yield start, "text", "\n".join(block)
            block = []
        if text:
            start = start if block else number
            block.append(text.removeprefix("- "))
        last = number
    if block:
        yield start, "text", "\n".join(block)


def _described(rows: list[str]) -> Iterator[tuple[int, str, str]]:
    number = 0
    while number < len(rows):
        number += 1
        found = DESCRIBED.match(rows[number - 1])
        if not found:
            for value in DESCRIBED_INSIDE.findall(rows[number - 1]):
                yield number, "text", value.strip("\"'")
            continue
        kind = "message" if found.group(2) == "message" else "text"
        first, block = number, [] if BLOCK.match(found.group(3)) else [found.group(3).strip("\"'}")]
        while number < len(rows) and _deeper(rows[number], len(found.group(1))):
            block.append(rows[number].strip())
            number += 1
        text = "\n".join(block)
        if not text.startswith("{{") and " " in text:
            yield first if found.group(3) and not BLOCK.match(found.group(3)) else first + 1, kind, text


def _deeper(row: str, indent: int) -> bool:
    """Whether a line goes on with the value of a key at `indent`; a list item's key is two further in."""
    return bool(row.strip()) and len(row) - len(row.lstrip()) > indent + 2 * row.lstrip().startswith("- ")
