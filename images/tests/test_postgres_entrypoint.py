"""One server at a time has a volume, whatever process ids say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from images.postgres.entrypoint import hold_alone
from images.setup.versions import CHECKOUT

HOLD = "import sys; from pathlib import Path; from images.postgres.entrypoint import hold_alone; "
# A server's backend outlives its postmaster for a moment: `sleep` takes its part, and inherits what a backend inherits.
SERVER = HOLD + "import subprocess; hold_alone(Path(sys.argv[1]), within=0); "
SERVER += "print(subprocess.Popen(['sleep', '60'], close_fds=False).pid, flush=True); sys.stdin.read()"


@contextmanager
def server(volume: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds the volume, and the id of its child."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(volume)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        process.kill()
        process.wait(60)
        subprocess.run(["kill", "-9", str(child)], check=False)


def test_a_second_server_is_refused_while_one_has_the_volume(tmp_path: Path) -> None:
    with server(tmp_path), pytest.raises(SystemExit, match="another server still uses"):
        hold_alone(tmp_path, within=0)


def test_a_killed_server_holds_the_volume_until_its_last_process_has_ended(tmp_path: Path) -> None:
    with server(tmp_path) as (process, child):
        process.kill()
        process.wait(60)
        with pytest.raises(SystemExit, match="another server still uses"):
            hold_alone(tmp_path, within=0)
        subprocess.run(["kill", "-9", str(child)], check=True)
        hold_alone(tmp_path, within=30)
