"""No code prepares a transaction for a later commit. docs/decisions/no-two-phase-commit.md has the reasons."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.documentation import ROOT

PREPARES = re.compile(r"PREPARE\s+TRANSACTION|\btpc_(?:begin|prepare|commit)|\bXA\s+(?:START|PREPARE)", re.IGNORECASE)
FOLDERS = ("operator", "services", "cdc", "charts", "manifests")
KINDS = {".py", ".sql", ".tpl", ".yaml"}


def sources() -> Iterator[Path]:
    """All code except tests, which make forgotten transactions on purpose."""
    for folder in FOLDERS:
        paths = (path for path in (ROOT / folder).rglob("*") if path.suffix in KINDS)
        yield from (path for path in paths if "tests" not in path.parts)


def test_no_code_uses_two_phase_commit() -> None:
    read = list(sources())
    assert len(read) > 300
    assert [path for path in read if PREPARES.search(path.read_text(encoding="utf-8"))] == []


def test_a_planted_use_is_found() -> None:
    for planted in ("PREPARE TRANSACTION 'order'", "connection.tpc_begin(xid)", "xa start 'order'"):
        assert PREPARES.search(planted)
