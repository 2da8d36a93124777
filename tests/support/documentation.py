"""Facts about the code, read from its syntax: environment variables and reasons."""

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NAMED_TEST = re.compile(r"\[`(test_\w+)`\]\(([^)]+)\)")
WORD = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")
# The last argument but one of these is a reason, and so is every keyword and variable of that name.
STATING = {"ready", "working", "stalled", "unanswered", "unready", "__init__"}


def missing_tests(text: str, page: Path) -> list[str]:
    """Complaints about the tests that a text of this page names: there are none, or some do not exist."""
    named = NAMED_TEST.findall(text)
    if not named:
        return ["it names no test"]
    return [f"{test} is not in {target}" for test, target in named if test not in _functions(page.parent / target)]


@functools.cache
def _functions(path: Path) -> set[str]:
    if not path.is_file():
        return set()
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(_tree(path)) if isinstance(node, kinds)}


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def trees(*folders: str) -> Iterator[ast.Module]:
    """The syntax of every module below."""
    return map(_tree, _modules(*folders))


def texts(*folders: str) -> set[str]:
    """The string constants of every module below."""
    return {text for path in _modules(*folders) for text in _texts(path)}


@functools.cache
def _texts(path: Path) -> set[str]:
    nodes = ast.walk(_tree(path))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def variables(*folders: str) -> set[str]:
    """Strings in the form of one of our variables."""
    return {text for text in texts(*folders) if re.fullmatch(r"KOMPENSA_[A-Z_]*[A-Z]", text)}


def metrics(*folders: str) -> set[str]:
    """Names given to Prometheus."""
    kinds = {"Counter", "Gauge", "Histogram", "_gauge"}
    return {
        name
        for tree in trees(*folders)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in kinds
        for name in _direct(node.args[0] if node.args else None)
    }


def reasons(*folders: str) -> set[str]:
    """CamelCase words that are given as a reason."""
    found = {text for tree in trees(*folders) for node in ast.walk(tree) for text in _stated(node)}
    return {text for text in found if WORD.fullmatch(text)}


def _stated(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args, keywords=keywords):
            for keyword in keywords:
                if keyword.arg == "reason":
                    yield from _direct(keyword.value)
            if name in STATING and args:
                yield from _direct(args[0])
        case ast.Assign(targets=[ast.Name(id="reason")], value=value):
            yield from _direct(value)
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="reason"), *_])], value=ast.Tuple(elts=[value, *_])):
            yield from _direct(value)
        case ast.AnnAssign(target=ast.Name(id="reason"), value=value):
            yield from _direct(value)


def _direct(node: ast.AST | None) -> Iterator[str]:
    """The constants that the expression may be, not those that it calls with."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _direct(body)
            yield from _direct(orelse)
        case ast.BoolOp(values=values):
            for value in values:
                yield from _direct(value)


def tables(page: str, section: str = "") -> list[list[str]]:
    """The rows of the tables of a page, or of one section of it, without their heads; each cell as it is written.

    A page is one of docs/reference, or named by its path within docs.
    """
    text = (DOCS / page if "/" in page else DOCS / "reference" / page).read_text(encoding="utf-8")
    if section:
        text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = text.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    rules = [number for number, row in enumerate(rows) if set(row[0].strip()) <= set("-: ")]
    heads = {number - 1 for number in rules}
    return [row for number, row in enumerate(rows) if number not in heads and number not in rules]


def named(rows: Iterable[list[str]], column: int = 0) -> list[str]:
    """Return the words in backticks in one column of a table."""
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row[column])]


def verb(shown: str) -> str:
    """The command without its arguments: `kompensa sagas get SAGA` becomes `kompensa sagas get`."""
    return " ".join(word for word in shown.split() if word.islower())
