"""Find the prose of a file: what a person reads, with the line where it stands.

Each kind of file has one reader. Quoted code (between backticks) becomes the word `CODE`, because it is not prose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.prose.languages import markdown, python, templates

Reader = Callable[[str], Iterator[tuple[int, str, str]]]

READERS: dict[str, Reader] = {
    ".md": markdown.read,
    ".py": python.read,
    ".yaml": templates.read,
    ".yml": templates.read,
    ".tpl": templates.read,
    ".txt": templates.read_notes,
    ".toml": templates.read,
    ".sql": templates.read_sql,
    ".json": templates.read_schema,
    "Makefile": templates.read,
    "Containerfile": templates.read,
}
CODE = re.compile(r"``[^`]+``|`[^`\n]+`")
SKIPPED_FOLDERS = {"build", "dist", "node_modules", "__pycache__", "artifacts", "target"}
SKIPPED_FILES = {"rules.yaml", "requirements.txt"}


@dataclass(frozen=True)
class Passage:
    """Some prose of one file.

    Attributes
    ----------
    kind
        `text` (whole sentences), `heading` or `message` (a string of a program).
    """

    path: Path
    line: int
    kind: str
    text: str


def passages(path: Path) -> Iterator[Passage]:
    """The prose of a file; none if it is of a kind that has no reader."""
    reader = READERS.get(path.suffix) or READERS.get(path.name)
    if reader is None:
        return
    for line, kind, text in reader(path.read_text(encoding="utf-8")):
        found = Passage(path, line, kind, text)
        yield replace(found, text=CODE.sub("CODE", text))


def files(*roots: Path) -> Iterator[Path]:
    """The files to read below `roots`, in order; Portuguese pages are left out."""
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            inner = path.relative_to(root).parts if root.is_dir() else ()
            if any(part in SKIPPED_FOLDERS or part.startswith(".") or part.endswith(".egg-info") for part in inner):
                continue
            if path.is_file() and path.name not in SKIPPED_FILES and not path.name.endswith(".pt.md"):
                yield path
