"""Fixtures of the chart tests."""

import pytest

from charts.tests.program import found
from charts.tests.rendering import Helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return found(tmp_path_factory.mktemp("helm") / "build.log")
