"""Keys change with any input, and with nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from images.setup.digest import key_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "inputs"
    (root / "below").mkdir(parents=True)
    (root / "Containerfile").write_text("FROM x\n")
    (root / "below/script").write_text("run\n")
    return root


def move(folder: Path) -> None:
    (folder / "below/script").rename(folder / "script")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda folder: (folder / "below/script").write_text("walk\n"),
    "executable": lambda folder: (folder / "below/script").chmod(0o755),
    "a file more": lambda folder: (folder / "more").write_text(""),
    "a file less": lambda folder: (folder / "below/script").unlink(),
    "place": move,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_an_input_changes_the_key(folder: Path, change: Callable[[Path], object]) -> None:
    before = key_of(folder)
    change(folder)
    assert key_of(folder) != before


def test_time_and_place_of_the_checkout_and_left_over_caches_do_not_count(folder: Path, tmp_path: Path) -> None:
    before = key_of(folder)
    os.utime(folder / "Containerfile", (0, 0))
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/x.pyc").write_text("compiled")
    (folder / "tests").mkdir()
    (folder / "tests/test_x.py").write_text("tests are not in an image")
    elsewhere = folder.rename(tmp_path / "another-clone")
    assert key_of(elsewhere) == before


def test_inputs_are_framed_so_that_none_runs_into_the_next() -> None:
    assert len({key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("ab", "", "c")}) == 4


def test_an_input_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone is an input of a build"):
        key_of(tmp_path / "gone")
