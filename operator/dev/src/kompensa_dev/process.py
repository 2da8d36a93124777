"""One local program: started in a session of its own, watched, stopped by its process id.

A session of its own keeps a Ctrl-C at the terminal from reaching it: the starter decides in which order things stop.
"""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kompensa_common.cache import cache_folder
from kompensa_dev.errors import ProgramFailedError

POLL_SECONDS = 0.02
STOP_SECONDS = 10.0
TAIL_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to start.

    Parameters
    ----------
    environment
        Added to the environment of this process.
    user
        Run as this user; only root may ask for it.
    stop_signal
        The signal that ends it in good order.
    tier
        Programs of a higher tier use those of a lower one and are stopped before them.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    tier: int = 2


class Process:
    """A started program."""

    def __init__(self, program: Program, log: Path) -> None:
        self.program = program
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                list(program.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=program.folder,
                env={**os.environ, **program.environment},
                start_new_session=True,
                user=program.user,
                group=_group_of(program.user),
                extra_groups=[] if program.user else None,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def ask_to_stop(self, with_signal: signal.Signals | None = None) -> None:
        """Send the stop signal and return at once."""
        if self.is_alive:
            self._popen.send_signal(with_signal or self.program.stop_signal)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Ask it to end, wait, and kill it when it does not."""
        self.ask_to_stop()
        self.wait_ended(timeout)

    def wait_ended(self, timeout: float = STOP_SECONDS) -> None:
        """Wait for its end; after `timeout` seconds it is killed."""
        self.wait_for_status(timeout)

    def wait_for_status(self, timeout: float) -> int | None:
        """Wait for its end and return its exit status; after `timeout` seconds it is killed, and None returned."""
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, to it and to what it started in its session."""
        with suppress(ProcessLookupError):  # it had ended already
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait(STOP_SECONDS)

    def wait_ready(self, is_ready: Callable[[], bool], *, what: str, timeout: float) -> None:
        """Poll a condition until it holds.

        Raises
        ------
        ProgramFailedError
            When the program ends first, or the condition does not hold in time.
        """
        deadline = time.monotonic() + timeout
        while not is_ready():
            if not self.is_alive:
                raise self.failed(f"{self.program.name} ended with status {self._popen.returncode} before {what}")
            if time.monotonic() > deadline:
                raise self.failed(f"{self.program.name}: {what} was expected within {timeout:.0f} s")
            time.sleep(POLL_SECONDS)

    def failed(self, text: str) -> ProgramFailedError:
        """An error that carries the end of this program's log, and a copy of it that outlives the run."""
        kept = kept_logs() / self.log.name
        shutil.copyfile(self.log, kept)
        return ProgramFailedError(text, log=kept, tail=tail_of(kept))


def kept_logs() -> Path:
    """Return the folder for logs that a person may want to read after the run."""
    folder = cache_folder() / "logs" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tail_of(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _group_of(user: str | None) -> int | None:
    return None if user is None else pwd.getpwnam(user).pw_gid
