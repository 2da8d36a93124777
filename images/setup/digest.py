"""Keys over inputs: the same inputs give the same key, any change another.

Files count by relative name, mode bit x and content, never by time or owner, so that a fresh clone finds what an older
one built.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

KEY_LENGTH = 16
IGNORED_FOLDERS = frozenset({"__pycache__", "tests", ".pytest_cache", ".mypy_cache", ".ruff_cache"})


def key_of(*inputs: str | Path) -> str:
    """Hash strings, files and folders (all files below one) into a key of 16 hex digits.

    Each input is framed by kind and length: without that, ("ab", "c") and ("a", "bc") would share a key.
    """
    digest = hashlib.sha256()
    for given in inputs:
        if isinstance(given, Path):
            for name, path in _files(given):
                executable = "x" if path.stat().st_mode & 0o100 else "-"
                _frame(digest, f"file {executable} {name}", path.read_bytes())
        else:
            _frame(digest, "text", given.encode())
    return digest.hexdigest()[:KEY_LENGTH]


def _frame(digest: "hashlib._Hash", label: str, content: bytes) -> None:
    digest.update(f"{label}\0{len(content)}\0".encode())
    digest.update(content)


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    if root.is_file():
        yield root.name, root
        return
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is an input of a build and does not exist")
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and not IGNORED_FOLDERS.intersection(relative.parts):
            yield relative.as_posix(), path
