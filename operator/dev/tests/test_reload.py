"""Which files `--watch` applies again."""

import os
from pathlib import Path

from kompensa_dev.reload import Reload


def test_only_new_and_rewritten_files_are_applied_again(tmp_path: Path) -> None:
    kept, edited = tmp_path / "kept.yaml", tmp_path / "edited.yaml"
    for path in (kept, edited):
        path.write_text("a: 1")
    reload = Reload([tmp_path])
    assert reload.changed() == []
    os.utime(edited, ns=(1, 1))
    new = tmp_path / "new.yaml"
    new.write_text("b: 2")
    assert reload.changed() == [edited, new]
    assert reload.changed() == []


def test_a_file_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gone.yaml"
    path.write_text("a: 1")
    reload = Reload([path])
    path.unlink()
    assert reload.changed() == []
