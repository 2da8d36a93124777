"""Logs as JSON lines on standard output, those of libraries included."""

from __future__ import annotations

import logging

import structlog
from structlog.typing import Processor

from kompensa_cdc.logs import json_handler


def log_as_json(level: str) -> None:
    """Set up structlog and the standard library's logging alike."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [json_handler(shared)]
    root.setLevel(level.upper())
