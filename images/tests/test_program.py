"""`python3 -m images` as a user runs it: on a bare Python, with sentences instead of tracebacks."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from images.cli import export_lines, main
from images.setup.versions import CHECKOUT
from images.tests.tools import Tools

VERBS = ("up", "down", "status", "build", "load", "prepare", "jars", "env")
# -S leaves site-packages out, -E and -s whatever the user's environment adds.
BARE = [sys.executable, "-S", "-E", "-s"]
# Run by an environment's own Python, inside an image, or by pytest.
NOT_BARE = ("images.setup.closure", "images.postgres.entrypoint", "images.tests")


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BARE, "-m", "images", *words],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_works_on_the_bare_standard_library() -> None:
    said = run("--help")
    assert said.returncode == 0, said.stderr
    assert all(verb in said.stdout for verb in VERBS)
    assert "KOMPENSA_CACHE" in said.stdout


def test_every_module_needs_the_standard_library_only() -> None:
    files = [path.relative_to(CHECKOUT) for path in (CHECKOUT / "images").rglob("*.py")]
    names = sorted(".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files)
    wanted = [name for name in names if not name.startswith(NOT_BARE) and not name.endswith("__main__")]
    assert "images.cluster.kind" in wanted
    program = f"import importlib\nfor name in {wanted!r}: importlib.import_module(name)"
    done = subprocess.run([*BARE, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("up", "--set", "isolation=schema"), "--set isolation=schema: expected CHART.PATH=VALUE"),
        (("status",), "CONTAINER_ENGINE=lxc is not known; use docker or podman"),
        (("env",), "CONTAINER_ENGINE=lxc is not known; use docker or podman"),
        (("build", "no-such-image"), "no-such-image"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, words: tuple[str, ...], advice: str) -> None:
    said = run(*words, KOMPENSA_CACHE=str(tmp_path), CONTAINER_ENGINE="lxc")
    assert said.returncode != 0
    assert advice in said.stderr
    assert "Traceback" not in said.stderr


AWKWARD = '/tmp/it\'s a "$HOME" `cache`; echo no'


def test_exported_lines_survive_any_shell_word() -> None:
    lines = export_lines({"KUBECONFIG": AWKWARD}, Path(AWKWARD), Path("/second"))
    shell = f'{lines}\nprintf \'%s\\n%s\' "$KUBECONFIG" "$PATH"'
    told = subprocess.run(
        ["/bin/sh", "-c", shell], env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines() == [AWKWARD, f"{AWKWARD}:/second:/usr/bin"]


def test_env_prints_nothing_but_exports(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tools.add("docker", "echo here")
    cache = tmp_path / "a cache"
    monkeypatch.setenv("KOMPENSA_CACHE", str(cache))
    monkeypatch.setenv("CONTAINER_ENGINE", "docker")
    assert main(["env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"export KUBECONFIG={shlex.quote(str(cache / 'state/kubeconfig'))}"
    assert all(line.startswith("export ") for line in lines)
    shell = "\n".join([*lines, 'printf "%s" "$PATH"'])
    told = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, text=True, check=True)
    assert told.stdout.startswith(f"{cache}/bin:"), "a folder with a space in its name stays one entry"
