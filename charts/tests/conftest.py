"""Helm for the chart tests: from PATH, or built into the cache like the cluster's other programs."""

import os
import shutil
from pathlib import Path

import pytest

from charts.tests.rendering import Helm
from images.setup import go
from images.setup.cache import Cache, default_root
from images.setup.commands import Runner
from images.setup.versions import load_versions


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    on_path = shutil.which("helm")
    if on_path:
        return Helm(Path(on_path))
    versions, cache = load_versions(), Cache(default_root(os.environ))
    runner = Runner(tmp_path_factory.mktemp("helm") / "build.log")
    return Helm(go.build(go.helm(versions), cache, versions, runner) / "helm")
