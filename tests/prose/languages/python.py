"""Prose of Python: docstrings, comments, and string literals that are sentences."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from tests.prose.languages.templates import joined

# A statement of SQL, or the like, is code in a string.
STATEMENT = re.compile(r"\s*(?:[A-Z]{3,}\b|[<{\[/#]|WITH )")
SENTENCE = re.compile(r"(?:\b[a-zA-Z][a-z']*[,:;]? ){3,}[a-zA-Z]")
PRAGMA = re.compile(r"#\s*(?:noqa|type:|pragma|ruff:|mypy:|!)")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def read(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield docstrings by paragraph, comments, and messages."""
    tree = ast.parse(text)
    documents = set(_document_nodes(tree))
    for node in documents:
        yield from paragraphs(str(node.value), node.lineno)
    yield from _comments(text)
    for line, message in _strings(tree, documents):
        if SENTENCE.search(message) and not STATEMENT.match(message):
            yield line, "message", message


def _document_nodes(tree: ast.Module) -> Iterator[ast.Constant]:
    """Docstrings, and strings that stand alone below a constant or a field."""
    for node in ast.walk(tree):
        if isinstance(node, Documented):
            for statement in node.body:
                match statement:
                    case ast.Expr(value=ast.Constant(value=str()) as document):
                        yield document


def paragraphs(text: str, line: int) -> Iterator[tuple[int, str, str]]:
    """Part a docstring at blank lines, list items, underlines and changes of indentation; leave examples out."""
    block: list[str] = []
    start = line
    depth: int | None = None
    for number, row in enumerate(text.splitlines(), line):
        stripped = row.strip()
        indent = depth if number == line else len(row) - len(row.lstrip())
        example = stripped.startswith((">>>", "...", "```"))
        ends = not stripped or set(stripped) == {"-"} or stripped.startswith(("- ", "* ")) or example
        if block and (ends or (depth is not None and indent != depth)):
            yield start, "text", "\n".join(block)
            block = []
        if stripped and set(stripped) != {"-"} and not example:
            start = start if block else number
            block.append(stripped.removeprefix("- ").removeprefix("* "))
        depth = indent if number > line else None
    if block:
        yield start, "text", "\n".join(block)


def _comments(text: str) -> Iterator[tuple[int, str, str]]:
    rows: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and not PRAGMA.match(token.string):
            rows.append((token.start[0], token.string.lstrip("# ").rstrip()))
            if token.line[: token.start[1]].strip():
                rows.append((token.start[0], ""))  # the end: a comment behind code does not go on in the next line
    yield from joined(rows)


def _strings(tree: ast.Module, documents: set[ast.Constant]) -> Iterator[tuple[int, str]]:
    """String literals; the values in an f-string become `CODE`."""
    inner: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inner.update(node.values)
            yield node.lineno, "".join(_value(part) for part in node.values)
        elif isinstance(node, ast.Constant) and node not in documents and node not in inner:
            yield node.lineno, _one_line(node.value)


def _one_line(value: object) -> str:
    return value if isinstance(value, str) and "\n" not in value.strip() else ""


def _value(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "CODE"
