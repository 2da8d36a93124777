"""Reading requirements.lock: one pinned requirement with its hashes a block."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from images.setup.errors import SetupError
from images.setup.versions import CHECKOUT

LOCK = CHECKOUT / "requirements.lock"
NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^]]*\])?==")


def normalized(name: str) -> str:
    """The one spelling of a distribution's name that PyPI compares by."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str) -> Mapping[str, str]:
    """Normalized name -> its lines, hashes included."""
    blocks: dict[str, str] = {}
    current = ""
    for line in text.splitlines():
        if found := NAME.match(line):
            current = normalized(found[1])
            blocks[current] = f"{line}\n"
        elif current and line.startswith(" "):
            blocks[current] += f"{line}\n"
    return blocks


def pinned(lock: Mapping[str, str], names: Iterable[str]) -> str:
    """The part of the lock that names these distributions, sorted.

    Raises
    ------
    SetupError
        If one of them is not pinned.
    """
    wanted = sorted({normalized(name) for name in names})
    absent = [name for name in wanted if name not in lock]
    if absent:
        raise SetupError(f"requirements.lock does not pin {', '.join(absent)}; run `make lock`")
    return "".join(lock[name] for name in wanted)


def read_lock(path: Path = LOCK) -> Mapping[str, str]:
    return parse_lock(path.read_text(encoding="utf-8"))
