"""A cache, a report and stand-in programs, fresh for each test."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from images.setup.cache import Cache
from images.setup.stages import Report
from images.tests.tools import Tools

SYSTEM_PATH = "/usr/bin:/bin"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def report(cache: Cache) -> Report:
    """Printing into memory: see `images.tests.tools.printed`."""
    return Report(cache.logs, out=io.StringIO())


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Stand-ins before the system's own programs; nothing else of the machine's PATH is seen."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{SYSTEM_PATH}")
    return Tools(folder)
