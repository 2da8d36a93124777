"""Which integration tests run in one process when pytest has several: those of a file, and all of the `stack`.

Each process starts its own servers when a test first asks for them. The stack is the most expensive of them: half a
minute, and thirteen processes.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadFileScheduling

STACK_FILES = frozenset({"test_dev_cli.py", "test_dev_stack.py", "test_guide_participant.py", "test_one_trace.py"})


def share_of(nodeid: str) -> str:
    """The part of the suite that a test belongs to. A process runs a part as a whole."""
    file = nodeid.partition("::")[0]
    return "stack" if PurePath(file).name in STACK_FILES else file


def require_listed(files: Set[str]) -> None:
    """Check that the files which use the stack share it.

    Raises
    ------
    pytest.UsageError
        Some are not in `STACK_FILES`.
    """
    if missing := sorted(files - STACK_FILES):
        raise pytest.UsageError(f"{', '.join(missing)}: add each file that uses the stack to STACK_FILES in {__name__}")


class SharedStackScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no type information
    """`--dist loadfile`, with one stack for all files that use it."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)
