"""Errors as a user reads them: one line that says what to do, and an exit status a script can use.

An error that is not listed here is a defect of Kompensa and keeps its traceback.
"""

import sys
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

FAILED = 1
BAD_INPUT = 2
UNREACHABLE = 3


class CommandError(Exception):
    """Why a verb gives up, and the exit status; verbs of other distributions derive theirs from it."""

    def __init__(self, text: str, *, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Failure:
    """The text to print, and the exit status."""

    text: str
    status: int


class PlainGroup(TyperGroup):
    """A group of verbs whose expected errors end in a line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(130)
        except Exception as error:
            failure = explain(error)
            if failure is None:
                raise
            typer.secho(f"error: {failure.text}", err=True, fg=typer.colors.RED if sys.stderr.isatty() else None)
            ctx.exit(failure.status)


def explain(error: Exception) -> Failure | None:
    """The line and status for an expected error; None for a defect.

    Error classes are looked up only in loaded modules: a module that is not loaded cannot have raised.
    """
    if isinstance(error, CommandError):
        return Failure(_text(error), error.status)
    for module, name, status, advice in _EXPECTED:
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return Failure(_text(error) + advice, status)
    return None


_EXPECTED = (
    ("kompensa.client.engine_client", "TokenRefusedError", FAILED, ""),
    (
        "kompensa.client.engine_client",
        "EngineUnreachableError",
        UNREACHABLE,
        "; start one with `kompensa dev` or `make up`, or name another with --api",
    ),
    ("kompensa.client.engine_client", "EngineProblemError", FAILED, ""),
    ("kompensa.cluster.kube", "UnavailableError", UNREACHABLE, "; is the cluster up? `make up` finds or repairs it"),
    ("kompensa.cluster.kube", "KubeError", FAILED, ""),
    ("kompensa.manifests.documents", "ManifestError", BAD_INPUT, ""),
    ("kompensa.manifests.apply", "ObjectRefusedError", FAILED, ""),
    ("kompensa.handlers.settings", "InvalidSettingError", BAD_INPUT, ""),
    ("kompensa.engine.settings", "SettingsError", BAD_INPUT, ""),
    ("kompensa.transport.clients", "UnusableFileError", BAD_INPUT, ""),
    ("kompensa_common.tracing", "TracingSettingsError", BAD_INPUT, ""),
    ("kompensa.journal.errors", "JournalUnavailableError", UNREACHABLE, ""),
    ("kompensa.journal.errors", "JournalError", FAILED, ""),
)


def _text(error: Exception) -> str:
    """The error's own words; with a program that failed, the end of its log and where the rest is."""
    tail = [f"  | {line}" for line in getattr(error, "tail", "").splitlines()]
    log = getattr(error, "log", None)
    return "\n".join([str(error), *tail, *([f"  the whole log: {log}"] if log else [])])
