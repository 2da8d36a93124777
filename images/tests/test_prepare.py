"""The parts that each goal prepares before its command runs: a test that had to build for minutes would time out."""

from __future__ import annotations

from pathlib import Path

import pytest

from images import prepare
from images.setup import go, packages, venv
from images.setup.cache import Cache
from images.setup.stages import Report
from images.setup.versions import load_versions


@pytest.mark.parametrize(
    ("goal", "needed"),
    [("lint", set()), ("unit", {"helm"}), ("try", set()), ("integration", {"helm", "kubernetes", "etcd"})],
)
def test_a_goal_builds_the_programs_that_its_tests_run(
    goal: str, needed: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    built: set[str] = set()
    for module in (packages, venv):
        monkeypatch.setattr(module, "ensure", lambda *_: None)
    monkeypatch.setattr(prepare, "ensure_jars", lambda *_: None)
    monkeypatch.setattr(go, "ensure", lambda program, *_: built.add(program.name))
    prepare.prepare(goal, Cache(tmp_path), load_versions(), Report(tmp_path))
    assert built == needed
