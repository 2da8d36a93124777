"""Which integration tests run in one process when pytest has several: those of a file, or of an expensive server.

Each process starts its own servers when a test first asks for them, and keeps them to its end. The stack has thirteen
processes and needs half a minute to start; an API server needs a quarter of a minute, and computes while it is idle.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from pathlib import PurePath

import pytest
from xdist.scheduler import LoadFileScheduling

# The files whose tests use a server, by the name of its fixture.
SHARED: Mapping[str, frozenset[str]] = {
    "stack": frozenset(
        {
            "test_dev_cli.py",
            "test_dev_stack.py",
            "test_guide_participant.py",
            "test_guide_reactions.py",
            "test_one_trace.py",
            "test_order_styles.py",
            "test_trace_saga.py",
        }
    ),
    "apiserver": frozenset(
        {
            "test_charts.py",
            "test_crds.py",
            "test_helm_releases.py",
            "test_operator_lifecycle.py",
            "test_operator_namespaces.py",
            "test_operator_outages.py",
            "test_operator_outboxes.py",
            "test_operator_replicas.py",
            "test_operator_sagas.py",
            "test_yaml_of_kubectl.py",
        }
    ),
}


def share_of(nodeid: str) -> str:
    """The part of the suite that a test belongs to. A process runs a part as a whole."""
    path = nodeid.partition("::")[0]
    name = PurePath(path).name
    return next((server for server, files in SHARED.items() if name in files), path)


def require_listed(server: str, files: Set[str]) -> None:
    """Check that the files which use a server share it.

    Raises
    ------
    pytest.UsageError
        Some are not in `SHARED`.
    """
    if missing := sorted(files - SHARED[server]):
        raise pytest.UsageError(f"{', '.join(missing)}: add each file that uses `{server}` to SHARED in {__name__}")


class SharedServerScheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no type information
    """`--dist loadfile`, with one server for all files that use it."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)
