"""The table of values in each chart's README.md, written from the `# --` comments of its values.yaml.

Run `python3 charts/readme.py` after a change of values; a test fails when a table is out of date or a value has no
comment. Needs PyYAML only, so it runs where Helm does not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHARTS = Path(__file__).parent
BEGIN, END = "<!-- values: written by charts/readme.py -->\n", "<!-- /values -->\n"


@dataclass(frozen=True, kw_only=True)
class Value:
    """One documented value: its dotted path, its default and what the comment says."""

    path: str
    default: Any
    description: str

    def row(self) -> str:
        default = json.dumps(self.default, ensure_ascii=False)
        return f"| `{self.path}` | `{default}` | {self.description} |"


class UndocumentedValueError(ValueError):
    """A value without a `# --` comment of its own or of something above it."""


def values_of(text: str) -> list[Value]:
    """Every documented value of a values.yaml, in its order.

    Raises
    ------
    UndocumentedValueError
        Naming the first value that nothing documents.
    """
    root = yaml.compose(text)
    if not isinstance(root, yaml.MappingNode):
        return []
    return list(_walk(root, text.splitlines(), prefix=""))


def _walk(mapping: yaml.MappingNode, lines: list[str], *, prefix: str) -> Iterator[Value]:
    for key, node in mapping.value:
        path = f"{prefix}{key.value}"
        description = _comment_above(lines, key.start_mark.line)
        if description is not None:
            yield Value(path=path, default=_plain(node), description=description)
        elif isinstance(node, yaml.MappingNode) and node.value:
            yield from _walk(node, lines, prefix=f"{path}.")
        else:
            raise UndocumentedValueError(f"{path} has no comment: write one above it that begins with `# --`")


def _comment_above(lines: list[str], line: int) -> str | None:
    """The text of the comment that ends just above `line`, if it begins with `# --`."""
    start = line
    while start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    words = [text.lstrip().removeprefix("#").strip() for text in lines[start:line]]
    if not words or not words[0].startswith("-- "):
        return None
    return " ".join(words).removeprefix("-- ")


def _plain(node: yaml.Node) -> Any:
    return yaml.SafeLoader("").construct_document(node)


def table(values: list[Value]) -> str:
    rows = "\n".join(value.row() for value in values)
    return f"| value | default | meaning |\n| --- | --- | --- |\n{rows}\n"


def renewed(readme: str, values_yaml: str) -> str:
    """The README with the table of its values as they are now."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no place for the table: put the lines {BEGIN.strip()} and {END.strip()} into the README")
    return f"{before}{BEGIN}{table(values_of(values_yaml))}{END}{after}"


def charts_with_values() -> list[Path]:
    return sorted(path.parent for path in CHARTS.glob("*/values.yaml"))


def main() -> int:
    for chart in charts_with_values():
        path = chart / "README.md"
        path.write_text(renewed(path.read_text(), (chart / "values.yaml").read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
