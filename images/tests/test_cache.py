"""A product is whole or absent, made once, and found again."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from images.setup import cache as cache_module
from images.setup.cache import Cache, default_root
from images.setup.versions import CHECKOUT

# Builds a product slowly enough that a second process surely meets it half-made, and counts how often it was asked.
BUILDER = """
import sys
from pathlib import Path
from images.setup.cache import Cache

def build(folder):
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    (folder / "half").write_text("1")
    print("building", flush=True)
    sys.stdin.readline()
    (folder / "whole").write_text("2")

print(Cache(Path(sys.argv[1])).product("thing", "key", build), flush=True)
"""


def fill(folder: Path) -> None:
    (folder / "file").write_text("content")


def test_a_product_is_built_once_and_found_again(cache: Cache) -> None:
    assert cache.found("thing", "key") is None
    made = cache.product("thing", "key", fill)
    assert (made / "file").read_text() == "content"

    def never(folder: Path) -> None:
        raise AssertionError("built again")

    assert cache.product("thing", "key", never) == made
    assert cache.found("thing", "key") == made


def test_a_build_that_fails_leaves_nothing_and_the_next_one_starts_afresh(cache: Cache) -> None:
    def half(folder: Path) -> None:
        (folder / "half").write_text("")
        raise RuntimeError("no disk")

    with pytest.raises(RuntimeError, match="no disk"):
        cache.product("thing", "key", half)
    assert cache.found("thing", "key") is None
    assert list((cache.root / "tmp").iterdir()) == []
    made = cache.product("thing", "key", fill)
    assert [path.name for path in made.iterdir()] == ["file"]


def builder(cache: Cache, log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(cache.root), str(log)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_builder_that_is_killed_holds_up_nobody(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with builder(cache, log) as killed:
        assert read_line(killed) == "building"
        killed.kill()
    made = cache.product("thing", "key", fill)
    assert [path.name for path in made.iterdir()] == ["file"], "nothing of the half-made one"


def test_two_builders_at_once_build_once(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with builder(cache, log) as first, builder(cache, log) as second:
        one, other = (first, second) if waits_for(first, second) else (second, first)
        assert one.stdin is not None
        one.stdin.write("go on\n")
        one.stdin.flush()
        made = read_line(one)
        assert read_line(other) == made, "the second found what the first made, and never built"
    assert log.read_text().splitlines() == ["built"]
    assert sorted(path.name for path in Path(made).iterdir()) == ["half", "whole"]


def waits_for(first: subprocess.Popen[str], second: subprocess.Popen[str]) -> bool:
    """Whether it is the first that builds (and waits for a word from us); the other then waits for the lock."""
    assert first.stdout is not None
    assert second.stdout is not None
    ready, _, _ = select.select([first.stdout, second.stdout], [], [], 30)
    assert len(ready) == 1
    assert ready[0].readline().strip() == "building"
    return bool(ready[0] is first.stdout)


def test_old_products_of_the_same_name_are_dropped_and_others_stay(cache: Cache) -> None:
    old, recent, other = (cache.product(*of, fill) for of in (("go", "1"), ("go", "2"), ("go-kind", "1")))
    long_ago = os.stat(old).st_mtime - cache_module.KEPT_UNUSED_SECONDS - 60
    for path in (old, other):
        os.utime(path, (long_ago, long_ago))
    cache.product("go", "3", fill)
    assert [path.exists() for path in (old, recent, other)] == [False, True, True]


def test_a_use_counts_against_being_dropped(cache: Cache) -> None:
    used = cache.product("go", "1", fill)
    os.utime(used, (0, 0))
    assert cache.found("go", "1") == used
    cache.product("go", "2", fill)
    assert used.exists()


@pytest.mark.parametrize(
    ("environment", "root"),
    [
        ({"KOMPENSA_CACHE": "/var/k", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/var/k"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/kompensa"),
        ({"HOME": "/h"}, "/h/.cache/kompensa"),
    ],
)
def test_the_cache_is_where_the_environment_says(environment: dict[str, str], root: str) -> None:
    assert default_root(environment) == Path(root)
