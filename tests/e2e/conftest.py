"""The cluster under test: brought up by the product's own program, looked at with kubectl and the shop's own HTTP.

A test that fails leaves pod logs, events and objects under artifacts/<test>/ and says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, shell_environment
from tests.support.collect import collect

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--as-is", action="store_true", help="test the cluster as it is, without `make up` before")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(item.fspath).is_relative_to(ROOT / "tests" / "e2e"):
            item.add_marker(pytest.mark.e2e)
            if item.get_closest_marker("timeout") is None:
                # The tests are timed, not the fixtures: the first of them may build a cluster from nothing.
                item.add_marker(pytest.mark.timeout(300, func_only=True))


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Cluster:
    """A healthy cluster with the charts of this checkout installed and the fault switch on."""
    if not pytestconfig.getoption("--as-is"):
        subprocess.run([sys.executable, "-m", "images", "up"], cwd=ROOT, check=True, timeout=3000)
    return Cluster(shell_environment(ROOT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    found = getattr(item, "funcargs", {}).get("cluster")
    if report.when in ("setup", "call") and report.failed and isinstance(found, Cluster):
        folder = ROOT / "artifacts" / item.name.replace("/", "_").replace("[", "-").rstrip("]")
        collect(found.kubectl, folder, shop=found.namespace)
        report.sections.append(("what was collected", f"logs, events and objects: {os.path.relpath(folder)}"))
    return report
