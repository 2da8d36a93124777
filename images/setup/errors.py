"""Errors of the set-up; each text says why it cannot go on."""

from pathlib import Path


class SetupError(Exception):
    """Names the thing that failed, what was expected and what to do next; shown without a traceback."""


class CommandFailed(SetupError):
    """A command ended with another status than 0, or did not end in time."""

    def __init__(self, *, argv: list[str], reason: str, log: Path | None = None, tail: str = "") -> None:
        super().__init__(f"`{' '.join(argv)}` {reason}")
        self.argv = argv
        self.log = log
        self.tail = tail
