"""The revisions of a service's schema that its code knows, read from the syntax of its migrations.

Serving needs no more than these. Alembic and SQLAlchemy, which `migrate` imports, would be a quarter of its start.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path


def revisions(package: str) -> tuple[str, ...]:
    """The revisions in `<package>/migrations`, oldest first.

    Raises
    ------
    LookupError
        When there are none, or they do not form one line.
    """
    files = [path for path in sorted(folder(package, "migrations").glob("*.py")) if not path.name.startswith("_")]
    if not files:
        raise LookupError(f"{package} has no migrations: its first one makes the operations table")
    later = {below: revision for revision, below in map(_revision_and_below, files)}
    found: list[str] = []
    while (following := later.pop(found[-1] if found else None, None)) is not None:
        found.append(following)
    if len(found) < len(files):
        raise LookupError(f"the migrations of {package} do not form one line: each `down_revision` must be another's")
    return tuple(found)


def is_behind(found: str | None, known: Sequence[str]) -> bool:
    """Return whether a schema is older than the code. A revision that the code does not know is newer.

    During a rolling deployment the old pods serve on the migrated schema, which must still work for them (expand, then
    contract).
    """
    return found is None or found in known[:-1]


def folder(package: str, *within: str) -> Path:
    """The folder of a package, or one within it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"there is no package {package}: a Service's name is also its import package")
    return Path(spec.submodule_search_locations[0], *within)


def _revision_and_below(path: Path) -> tuple[str, str | None]:
    """The constants `revision` and `down_revision` of a migration."""
    constants: dict[str, object] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value))
            ):
                constants[name] = value
    match constants:
        case {"revision": str() as revision, "down_revision": (str() | None) as below}:
            return revision, below
    raise LookupError(f"{path} must set `revision` and `down_revision` to constants, for example '0002' and '0001'")
