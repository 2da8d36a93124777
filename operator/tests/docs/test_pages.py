"""Every page of the documentation: its links lead somewhere, and the commands that it shows exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documentation import ROOT, named, tables, verb

FOLDERS = ("docs", "charts", "manifests", "services/consumer", "services/kit", "services/eventstore")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^ *```(?:sh|bash)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
# At the beginning of a line, or where a shell or kubectl begins another.
COMMAND = re.compile(r"(?:^ *|&& |-- |\.venv/bin/)(kompensa(?:-cdc)?)((?: [a-z]+){1,2})", re.MULTILINE)
MODULE = re.compile(r"-m ((?:tests|images)[a-z_.]*)")
MAKE = re.compile(r"\bmake ([a-z-]+)")


def of_page(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{of_page(page)}: {target}"
        if anchor:
            assert anchor in set(anchors(found)), f"{of_page(page)}: {target}"


def anchors(page: Path) -> Iterator[str]:
    """The ids that headings get."""
    for heading in re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=of_page)
def test_commands_that_are_shown_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    verbs = {verb(shown) for shown in named(tables("cli.md")) if shown.startswith("kompensa")}
    for block in BLOCK.findall(text):
        for program, words in COMMAND.findall(block):
            given = f"{program}{words}"
            assert any(f"{given} ".startswith(f"{each} ") for each in verbs), f"{of_page(page)}: {given}"
    for module in MODULE.findall(text):
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), f"{of_page(page)}: {module}"
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {target for block in BLOCK.findall(text) for target in MAKE.findall(block)}
    assert shown <= targets, of_page(page)
