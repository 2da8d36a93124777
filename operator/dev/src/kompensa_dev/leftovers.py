"""Process ids on disk, and ending what a crashed run left running.

A record is a file `pids/<name>` with the pid, the start time that proves the pid still means the same process, and the
signal that ends it in good order. Nothing is ever ended by name.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

KILL_AFTER_SECONDS = 5.0


def start_time(pid: int) -> str | None:
    """When the process started, as its system reports it; None if there is no such process (or only its zombie)."""
    proc = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return listed.stdout.strip() or None
    try:
        # The name in brackets may hold spaces; state and start time are the 1st and 20th fields after it.
        fields = proc.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else fields[19]


def write_record(folder: Path, *, name: str, pid: int, stop_signal: signal.Signals) -> None:
    """Remember a started process under the run's folder."""
    pids = folder / "pids"
    pids.mkdir(exist_ok=True)
    (pids / name).write_text(f"{pid} {int(stop_signal)} {start_time(pid)}\n", encoding="utf-8")


def remove_record(folder: Path, name: str) -> None:
    (folder / "pids" / name).unlink(missing_ok=True)


def end_recorded(folder: Path) -> list[str]:
    """End every recorded process that still runs; return their names."""
    running = {path.name: record for path in sorted((folder / "pids").glob("*")) if (record := _running(path))}
    for pid, stop_signal in running.values():
        _send(pid, stop_signal)
    deadline = time.monotonic() + KILL_AFTER_SECONDS
    while any(_running(folder / "pids" / name) for name in running) and time.monotonic() < deadline:
        time.sleep(0.05)
    for name in running:
        if record := _running(folder / "pids" / name):
            _send(record[0], signal.SIGKILL)
    shutil.rmtree(folder / "pids", ignore_errors=True)
    return list(running)


def _running(record: Path) -> tuple[int, int] | None:
    try:
        pid, stop_signal, started = record.read_text(encoding="utf-8").strip().split(" ", 2)
    except (FileNotFoundError, ValueError):
        return None  # half-written when its writer was killed: that process had not been handed out yet
    return (int(pid), int(stop_signal)) if start_time(int(pid)) == started else None


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # it ended in between
        os.kill(pid, number)
