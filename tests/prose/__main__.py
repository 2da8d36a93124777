"""`python -m tests.prose [PATH ...]`: show prose that is not plain English.

With paths, every finding below them is shown, and any of them fails. Without, as in `make lint`, folders that are
listed in `clean.txt` must be clean; of the others only the number of findings is shown.
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
CLEAN = Path(__file__).with_name("clean.txt")
FOLDERS = ("docs", "charts", "cdc", "images", "manifests", "operator", "services", "tests")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.prose", description=__doc__)
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders (default: the repository)")
    parser.add_argument("--count", action="store_true", help="show only the number of findings by folder and by rule")
    options = parser.parse_args()
    found = list(findings(*[path.resolve() for path in options.paths] or everything()))
    if options.count:
        show_counts(found)
    elif options.paths:
        show(found)
        return 1 if found else 0
    else:
        broken = [each for each in found if is_clean(each.path)]
        show(broken)
        show_rest([each for each in found if not is_clean(each.path)])
        return 1 if broken else 0
    return 0


def everything() -> list[Path]:
    """The root's own pages and files, and the folders that hold prose."""
    return [*sorted(ROOT.glob("*.md")), ROOT / "Makefile", ROOT / "pyproject.toml", *(ROOT / each for each in FOLDERS)]


def findings(*roots: Path) -> Iterator[Finding]:
    for path in files(*roots):
        yield from check(passages(path))


def is_clean(path: Path) -> bool:
    """Whether `clean.txt` names the file, or a folder that it is in."""
    named = [line for line in CLEAN.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return any(path.is_relative_to(ROOT / each) for each in named)


def folder(path: Path) -> str:
    """The folder under which a file is counted: a package of a distribution, or a top-level folder's child."""
    parts = path.relative_to(ROOT).parts if path.is_relative_to(ROOT) else path.parts
    depth = 4 if "src" in parts[:3] else 2
    return "/".join(parts[: min(depth, len(parts) - 1)] or parts)


def show(found: list[Finding]) -> None:
    for each in found:
        shown = str(each).removeprefix(f"{ROOT}/")
        print(shown)


def show_rest(found: list[Finding]) -> None:
    counts = Counter(folder(each.path) for each in found)
    if counts:
        rest = ", ".join(f"{name} {number}" for name, number in counts.most_common())
        print(f"prose: {len(found)} findings in folders that are not in tests/prose/clean.txt yet: {rest}")


def show_counts(found: list[Finding]) -> None:
    for counts in (Counter(folder(each.path) for each in found), Counter(each.rule.id for each in found)):
        for name, number in counts.most_common():
            print(f"{number:6} {name}")
        print(f"{len(found):6} all\n")


if __name__ == "__main__":
    sys.exit(main())
