"""Modules that are left out of images are not missed by the processes in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from images.setup.commands import Runner
from images.setup.slim import WORTH_STRIPPING, slim
from images.tests.tools import Tools


def test_our_processes_run_without_the_modules_that_are_left_out() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "images.tests.slimmed_process"], capture_output=True, text=True, check=False
    )
    assert (run.stdout.split(), run.stderr) == (["asked", "1"], "")


def test_a_package_keeps_only_its_own_init(tmp_path: Path, tools: Tools) -> None:
    tools.add("strip", "exit 0")
    models = tmp_path / "kubernetes/client/models"
    (models / "__pycache__").mkdir(parents=True)
    for name in ("__init__", "v1_pod"):
        (models / f"{name}.py").touch()
        (models / f"__pycache__/{name}.cpython-311.pyc").touch()
    slim(tmp_path, Runner(tmp_path / "log"))
    kept = sorted(str(path.relative_to(models)) for path in models.rglob("*") if path.is_file())
    assert kept == ["__init__.py", "__pycache__/__init__.cpython-311.pyc"]


def test_large_extensions_are_stripped_and_libraries_of_wheels_are_not(tmp_path: Path, tools: Tools) -> None:
    tools.add("strip", "exit 0")
    (tmp_path / "wheel.libs").mkdir()
    for name, size in (("large.so", WORTH_STRIPPING), ("small.so", 10), ("wheel.libs/large.so", WORTH_STRIPPING)):
        (tmp_path / name).write_bytes(b"0" * size)
    slim(tmp_path, Runner(tmp_path / "log"))
    assert tools.calls("strip") == [f"strip --strip-unneeded {tmp_path / 'large.so'}"]
