"""Stand-ins for the programs that the builder runs, and nothing else: files, locks and processes are real.

A stand-in is a shell script on PATH that writes its arguments to a common log, then does what the test says.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from images.setup.stages import Report


@dataclass(frozen=True)
class Tools:
    """A folder of stand-ins, first on PATH."""

    folder: Path

    @property
    def _log(self) -> Path:
        return self.folder / "calls.log"

    def add(self, name: str, script: str = "", *, folder: Path | None = None) -> Path:
        """A program called `name`; without `folder`, found by PATH."""
        path = (folder or self.folder) / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self._log}\n{script}\n')
        path.chmod(0o755)
        return path

    def calls(self, beginning: str = "") -> list[str]:
        """The calls so far, in order: program and arguments."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line for line in lines if line.startswith(beginning)]


def printed(report: Report) -> str:
    """The text that a report of the fixture has shown so far."""
    assert isinstance(report.out, io.StringIO)
    return report.out.getvalue()
