"""`python -m tests.prose [PATH ...]`: show prose that is not plain English, and fail if there is some.

Without paths, as in `make lint`, it checks the whole repository.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.prose.check import Finding, check
from tests.prose.passages import files, passages

ROOT = Path(__file__).parents[2]

FOLDERS = ("docs", "charts", "cdc", "images", "manifests", "operator", "services", "tests")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prose", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders (default: the repository)")
    parser.add_argument("--count", action="store_true", help="show only the number of findings by folder and by rule")
    options = parser.parse_args()
    found = list(findings(*[path.resolve() for path in options.paths] or everything()))
    if options.count:
        show_counts(found)
    else:
        show(found)
    return 1 if found else 0


def everything() -> list[Path]:
    """The root's own pages and files, and the folders that hold prose."""
    return [*sorted(ROOT.glob("*.md")), ROOT / "Makefile", ROOT / "pyproject.toml", *(ROOT / each for each in FOLDERS)]


def findings(*roots: Path) -> Iterator[Finding]:
    for path in files(*roots):
        yield from check(passages(path))


def folder(path: Path) -> str:
    """The folder under which a file is counted: a package of a distribution, or a top-level folder's child."""
    parts = path.relative_to(ROOT).parts if path.is_relative_to(ROOT) else path.parts
    depth = 4 if "src" in parts[:3] else 2
    return "/".join(parts[: min(depth, len(parts) - 1)] or parts)


def show(found: list[Finding]) -> None:
    for each in found:
        shown = str(each).removeprefix(f"{ROOT}/")
        print(shown)


def show_counts(found: list[Finding]) -> None:
    for counts in (Counter(folder(each.path) for each in found), Counter(each.rule.id for each in found)):
        for name, number in counts.most_common():
            print(f"{number:6} {name}")
        print(f"{len(found):6} all\n")


if __name__ == "__main__":
    sys.exit(main())
