"""Running the tools: output into a log, a time-out on every wait, the last lines when one fails."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from images.setup.errors import CommandFailed

TAIL_LINES = 25
QUICK_SECONDS = 60.0
LONG_SECONDS = 3600.0
Command = list[str | Path]


@dataclass(frozen=True)
class Runner:
    """Runs commands into one log file, and onto the screen as well when verbose."""

    log: Path
    verbose: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: Path | None = None,
        timeout: float = LONG_SECONDS,
    ) -> None:
        """Run to the end or raise CommandFailed; output goes to the log."""
        words = [str(word) for word in argv]
        with self.log.open("ab") as log:
            log.write(f"$ {' '.join(words)}\n".encode())
            log.flush()
            start = log.tell()
            status = self._wait(words, log, cwd=cwd, env=env, stdin=stdin, timeout=timeout)
        if status != 0:
            reason = f"did not end within {timeout:.0f} s" if status is None else f"ended with status {status}"
            raise CommandFailed(argv=words, reason=reason, log=self.log, tail=tail_of(self.log, start))

    def _wait(
        self,
        words: list[str],
        log: IO[bytes],
        *,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        stdin: Path | None,
        timeout: float,
    ) -> int | None:
        source = stdin.open("rb") if stdin else None
        try:
            process = subprocess.Popen(
                words,
                cwd=cwd,
                env=merged(self.environment, env),
                stdin=source or subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if self.verbose else log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise CommandFailed(argv=words, reason="cannot start: there is no such program") from None
        finally:
            if source:
                source.close()
        return _wait_or_kill(process, timeout)


def _wait_or_kill(process: "subprocess.Popen[bytes]", timeout: float) -> int | None:
    """The exit status, or None after a time-out; no child outlives the wait, also not after Ctrl-C."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def merged(*environments: Mapping[str, str] | None) -> dict[str, str]:
    """This process's environment with the given ones laid over it."""
    result = dict(os.environ)
    for environment in environments:
        result.update(environment or {})
    return result


def output_of(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = QUICK_SECONDS,
) -> str | None:
    """Return the output of a short question to a tool, stripped; None if it says no, hangs or is not there."""
    try:
        done = subprocess.run(
            [str(word) for word in argv],
            cwd=cwd,
            env=merged(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def tail_of(log: Path, start: int = 0, lines: int = TAIL_LINES) -> str:
    """The last lines written to a log from an offset on."""
    with log.open("rb") as file:
        file.seek(start)
        text = file.read().decode(errors="replace")
    return "\n".join(text.rstrip().splitlines()[-lines:])
