"""Errors of local processes; each text names the next step."""

from pathlib import Path

from kompensa.cli.failures import BAD_INPUT, FAILED, CommandError


class DevError(CommandError):
    """Names the thing, what was expected and what to do next; shown without a traceback."""

    def __init__(self, text: str, *, status: int = FAILED) -> None:
        super().__init__(text, status=status)


class BadInputError(DevError):
    """An input (a file, a path, an object) cannot be used."""

    def __init__(self, text: str) -> None:
        super().__init__(text, status=BAD_INPUT)


class ProgramFailedError(DevError):
    """A program ended early or never became ready; carries the end of its log."""

    def __init__(self, text: str, *, log: Path, tail: str) -> None:
        super().__init__(text)
        self.log = log
        self.tail = tail
