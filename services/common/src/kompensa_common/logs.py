"""Logs: one JSON object a line on standard output, library messages included."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = ("debug", "info", "warning", "error")


def level_of(text: str | None) -> str:
    """Return the level that LOG_LEVEL asks for, in any case; `info` if it is empty.

    Raises
    ------
    ValueError
        If there is no such level.
    """
    level = (text or "info").lower()
    if level not in LEVELS:
        raise ValueError(f"LOG_LEVEL is {text!r}; expected {', '.join(LEVELS[:-1])} or {LEVELS[-1]}")
    return level


def log_as_json(level: str, *, libraries: str = "warning", **labels: str) -> None:
    """Set up structlog and the standard library's logging for the process.

    Parameters
    ----------
    level
        From which level on our own lines are written.
    libraries
        The same for lines of libraries.
    labels
        Members of each line, for example the service's name.
    """
    processors: list[Processor] = [
        _labelled(labels),
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _named,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*processors, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=_number(libraries), handlers=[_library_handler(processors)], force=True)


class _Lines(structlog.PrintLogger):
    """Prints lines, and knows the name that its logger was asked for by."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stdout)
        self.name = name


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _labelled(labels: dict[str, str]) -> Processor:
    def add(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event.update(labels)
        return event

    return add


def _named(logger: WrappedLogger, _: str, event: EventDict) -> EventDict:
    """Add the module that logs; a line of a library has it in its record."""
    record = event.get("_record")
    name = logger.name if record is None else record.name
    if name:
        event["logger"] = name
    return event


def _library_handler(processors: Sequence[Processor]) -> logging.Handler:
    """Return a handler that writes records of the standard library's logging as our own lines are written."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    return handler
