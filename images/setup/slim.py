"""Removes from installed packages the parts that our containers do not use: up to two thirds of their size.

Two kinds: symbols that only a debugger reads, and generated code that nothing loads. A test runs our processes without
the latter.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from images.setup.commands import Runner

UNUSED = (
    # The client's generated API: we use its connection and credentials, and pass plain objects.
    "kubernetes.client.api",
    "kubernetes.client.models",
    "kubernetes.aio.client.api",
    "kubernetes.aio.client.models",
    # Extensions of CEL; definitions have its standard functions and macros.
    "cel_expr_python.ext",
)
"""Packages that stay, without the modules in them."""
WORTH_STRIPPING = 512 * 1024


def slim(lib: Path, runner: Runner) -> None:
    """Make a folder of installed packages smaller."""
    for package in UNUSED:
        _empty(lib.joinpath(*package.split(".")))
    if libraries := list(_extensions(lib)):
        runner.run(["strip", "--strip-unneeded", *libraries])


def _empty(package: Path) -> None:
    """Remove all modules of a package except its own `__init__`, and their bytecode."""
    for path in [*package.glob("*"), *package.glob("__pycache__/*")]:
        if path.name != "__pycache__" and not path.name.startswith("__init__."):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _extensions(lib: Path) -> Iterator[Path]:
    """Large extension modules. Libraries that a wheel brings along were rewritten by its build: they stay untouched."""
    for path in sorted(lib.rglob("*.so")):
        if path.stat().st_size >= WORTH_STRIPPING and not any(part.endswith(".libs") for part in path.parts):
            yield path
