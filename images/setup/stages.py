"""The output for a person: one line a stage with its duration, and a sign of life from the long ones.

On a terminal the running stage counts seconds in place; elsewhere (CI) it says every 30 s that it goes on. A failed
stage shows the last lines of its log and where the rest is.
"""

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from images.setup.commands import Runner
from images.setup.errors import CommandFailed

NAME_WIDTH = 44
TICK_SECONDS = 1.0
HEARTBEAT_SECONDS = 30.0


@dataclass
class Stage:
    """One line of the report while it is being written."""

    name: str
    runner: Runner
    note: str = ""


@dataclass(frozen=True)
class Report:
    """Prints stages as they start and end."""

    logs: Path
    out: TextIO = field(default_factory=lambda: sys.stdout)
    verbose: bool = False

    @contextmanager
    def stage(self, name: str, environment: Mapping[str, str] | None = None) -> Iterator[Stage]:
        """Time what happens inside; the stage's runner logs to a file named after it."""
        log = self.logs / f"{name.replace(' ', '-').replace('/', '-')}.log"
        log.write_bytes(b"")
        stage = Stage(name, Runner(log=log, verbose=self.verbose, environment=environment or {}))
        started = time.monotonic()
        try:
            with self._ticking(name, started):
                yield stage
        except CommandFailed as failure:
            self._line(stage_line(name, time.monotonic() - started, "FAILED"))
            self._show_failure(failure)
            raise
        except BaseException:
            self._line(stage_line(name, time.monotonic() - started, "stopped"))
            raise
        self._line(stage_line(name, time.monotonic() - started, stage.note))

    def say(self, text: str) -> None:
        self._line(text)

    @contextmanager
    def _ticking(self, name: str, started: float) -> Iterator[None]:
        ended = threading.Event()
        ticker = threading.Thread(target=self._tick, args=(name, started, ended), daemon=True)
        ticker.start()
        try:
            yield
        finally:
            ended.set()
            ticker.join()

    def _tick(self, name: str, started: float, ended: threading.Event) -> None:
        in_place = self.out.isatty() and not self.verbose
        while not ended.wait(TICK_SECONDS if in_place else HEARTBEAT_SECONDS):
            line = stage_line(name, time.monotonic() - started, "...")
            self.out.write(f"\r\033[K{line}" if in_place else f"{line}\n")
            self.out.flush()

    def _line(self, text: str) -> None:
        clear = "\r\033[K" if self.out.isatty() else ""
        self.out.write(f"{clear}{text}\n")
        self.out.flush()

    def _show_failure(self, failure: CommandFailed) -> None:
        self._line(f"  {failure}")
        for line in failure.tail.splitlines():
            self._line(f"  | {line}")
        if failure.log:
            self._line(f"  the whole log: {failure.log}")


def stage_line(name: str, seconds: float, note: str = "") -> str:
    """`name ........   12.3 s  note`; widths fixed so that the durations form a column."""
    dots = "." * max(3, NAME_WIDTH - len(name))
    return f"{name} {dots} {seconds:6.1f} s  {note}".rstrip()
