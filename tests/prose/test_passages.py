"""Prose is found in every kind of file, on its line; code is not."""

from pathlib import Path

import pytest

from tests.prose.check import check
from tests.prose.passages import files, passages

PLANTED = {
    "page.md": ("# Title\n\nplain\nis told\n\n```sh\necho told\n```\n\n| told |\n| --- |\n| `told` |\n", [4, 10]),
    "link.md": ("[a page](told.md) and `told`\n", []),
    "docstring.py": ('"""A module.\n\nIt is told.\n"""\n\ndef told() -> None:\n    """Mend it."""\n', [3, 7]),
    "comment.py": ("told = 1  # is told\n# a comment that\n# goes on and is mended\n", [1, 3]),
    "message.py": ('x = "told"\ny = f"the {x} is told to them"\nz = "SELECT told FROM a WHERE b"\n', [2]),
    "sections.py": ('"""A.\n\nParameters\n----------\na\n    is told\n"""\n', [6]),
    "values.yaml": ("a: told # is told\nb: '# told'\n# it is\n# mended\n", [1, 4]),
    "crd.yaml": ("description: >-\n  plain\n  and told\nother: told\n", [3]),
    "inline.yaml": ('name: {type: string, description: "is told"}\n', [1]),
    "rule.yaml": ('- rule: x\n  message: "is told"\n', [2]),
    "_fail.tpl": ('{{- fail (printf "%s is told to the chart" .x) }}\n{{/* is mended */}}\n', [1, 2]),
    "NOTES.txt": ("It is told.\n  kubectl told\n", [1]),
    "0001.sql": ("-- is told\nSELECT told;\n", [1]),
    "values.schema.json": ('{\n"description": "is told",\n"told": 1}\n', [2]),
    "Makefile": ("lint: told ## is told\n", [1]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_words_are_found_on_their_lines(name: str, tmp_path: Path) -> None:
    text, lines = PLANTED[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert sorted({finding.line for finding in check(passages(path))}) == lines


def test_portuguese_pages_build_products_and_the_rules_are_not_read(tmp_path: Path) -> None:
    for name in ("a.md", "a.pt.md", "build/b.md", ".venv/c.md", "rules.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in files(tmp_path)] == ["a.md"]


@pytest.mark.parametrize("name", ["a.py", "a.toml"])
def test_comments_behind_code_are_passages_of_their_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("a = 1  # the first\nb = 2  # the second\n# a comment\n# that goes on\n", encoding="utf-8")
    assert [passage.text for passage in passages(path)] == ["the first", "the second", "a comment\nthat goes on"]


def test_a_file_that_is_not_text_of_ours_has_no_prose(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG")
    assert not list(passages(path))
