"""The folder of one run: its processes, their logs and data, and the promise that nothing of it stays behind.

Processes are ended in three ways, each for the failure of the one before. `close` serves a normal end, and the keeper
process serves if the starter is killed. The `sweep` of the next run serves if the keeper died too (a reboot).
An flock on the folder shows that a run is alive. The kernel frees it with its holder, so a run never looks alive after
its end.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import IO, Self

from kompensa_dev.errors import DevError
from kompensa_dev.leftovers import end_recorded, remove_record, write_record
from kompensa_dev.process import STOP_SECONDS, Process, Program

PREFIX = "kompensa-run-"


class Run:
    """One run and what it has started; a context manager that ends all of it."""

    def __init__(self, folder: Path, lock: IO[str], *, temporary: bool) -> None:
        self.folder = folder
        self.temporary = temporary
        self._lock_file = lock
        self.ended_leftovers = end_recorded(folder)
        self.logs = self.subfolder("logs")
        self._processes: list[Process] = []
        self._guard = Lock()
        self._closed = False
        self._keeper = _start_keeper(folder, temporary=temporary)

    @classmethod
    def open(cls, keep: Path | None = None) -> Self:
        """Start a run in a new temporary folder, or in `keep`, whose data then outlive it.

        Raises
        ------
        DevError
            When another run is using `keep`.
        """
        sweep()
        if keep is None:
            # Renamed once it is locked: under its final name a sweep would treat it as a dead run's.
            nameless = Path(tempfile.mkdtemp(prefix="kompensa-new-"))
            lock = _locked(nameless)
            folder = nameless.rename(nameless.with_name(nameless.name.replace("kompensa-new-", PREFIX)))
        else:
            folder = keep.absolute()
            folder.mkdir(parents=True, exist_ok=True)
            lock = _locked(folder)
        folder.chmod(0o711)  # PostgreSQL may run as another user and must reach its own folder below
        return cls(folder, lock, temporary=keep is None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def subfolder(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def start(self, program: Program) -> Process:
        """Start a program; its output goes to `logs/<name>.log`."""
        with self._guard:
            if self._closed:  # a thread that was still starting things when the run was ended
                raise DevError(f"{program.name} was not started: the run is over")
            process = Process(program, self.logs / f"{program.name}.log")
            write_record(self.folder, name=program.name, pid=process.pid, stop_signal=program.stop_signal)
            self._processes = [other for other in self._processes if other.is_alive] + [process]
            return process

    def run_to_end(self, program: Program, *, timeout: float) -> None:
        """Start a program that is expected to end by itself.

        Raises
        ------
        ProgramFailedError
            When it ends with another status than 0, or not in time.
        """
        process = self.start(program)
        status = process.wait_for_status(timeout)
        if status != 0:
            how = f"did not end within {timeout:.0f} s" if status is None else f"ended with status {status}"
            raise process.failed(f"{program.name} {how}")
        remove_record(self.folder, program.name)

    def close(self) -> None:
        """Stop everything, users before what they use, and remove what is temporary; a second call does nothing."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            processes, self._processes = self._processes, []
        for tier in sorted({process.program.tier for process in processes}, reverse=True):
            self._stop_together([process for process in processes if process.program.tier == tier])
        if self.temporary:
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._keeper.stdin:
            self._keeper.stdin.close()
        self._keeper.wait(STOP_SECONDS)
        self._lock_file.close()

    def _stop_together(self, processes: Iterable[Process]) -> None:
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            process.wait_ended()
            remove_record(self.folder, process.program.name)


def sweep() -> list[str]:
    """End and remove temporary runs whose starter is dead; return the names of the processes ended."""
    ended: list[str] = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if not folder.is_dir() or folder.stat().st_uid != os.getuid():
            continue
        try:
            lock = _locked(folder)
        except (DevError, FileNotFoundError):
            continue  # alive, or just being removed by its own keeper
        with lock:
            ended += end_recorded(folder)
            shutil.rmtree(folder, ignore_errors=True)
    return ended


def _locked(folder: Path) -> IO[str]:
    file = (folder / "lock").open("w", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise DevError(f"{folder} is in use by another run: stop that one first, or choose another folder") from None
    return file


def _start_keeper(folder: Path, *, temporary: bool) -> subprocess.Popen[bytes]:
    lifetime = "temporary" if temporary else "kept"
    return subprocess.Popen(
        [sys.executable, "-m", "kompensa_dev.keeper", str(folder), lifetime],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
