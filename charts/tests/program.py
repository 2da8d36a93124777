"""Finds Helm in PATH, or in the cache into which the cluster's other programs are built as well."""

import os
import shutil
from pathlib import Path

from charts.tests.rendering import Helm
from images.setup import go
from images.setup.cache import Cache, default_root
from images.setup.commands import Runner
from images.setup.versions import load_versions


def found(build_log: Path) -> Helm:
    """Helm, built first (a minute or two) where there is none."""
    on_path = shutil.which("helm")
    if on_path:
        return Helm(Path(on_path))
    versions, cache = load_versions(), Cache(default_root(os.environ))
    return Helm(go.build(go.helm(versions), cache, versions, Runner(build_log)) / "helm")
