"""Logs that a failed test shows, without the values of all variables: printing those can take longer than the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def plain_logs() -> Iterator[None]:
    """Log lines and plain tracebacks."""
    console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, console])
    yield
    structlog.reset_defaults()
