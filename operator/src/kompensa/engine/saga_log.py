"""The log lines of a saga's begin and end (S80), if its definition has `logFields`."""

from __future__ import annotations

import structlog

from kompensa.engine.running_saga import RunningSaga
from kompensa.model.saga import Phase
from kompensa.model.scope import log_fields

_log = structlog.get_logger(__name__)


def log_begin(running: RunningSaga) -> None:
    """Log that a saga was accepted, after the journal has it."""
    if running.definition.log_fields:
        _log.info("saga started", **_fields(running))


def log_end(running: RunningSaga) -> None:
    """Log how a saga ended; a saga without its effect as a warning, with the cause."""
    if not running.definition.log_fields or not running.saga.terminal:
        return
    if running.saga.phase is Phase.SUCCEEDED:
        _log.info("saga succeeded", **_fields(running))
        return
    shown = running.view()
    _log.warning(f"saga {shown.phase.lower()}", reason=shown.reason, message=shown.message, **_fields(running))


def _fields(running: RunningSaga) -> dict[str, object]:
    saga = running.saga
    # Names that the definition chose are in a member of their own: they cannot hide the members of every line.
    fields = log_fields(running.definition, saga)
    return {"saga": saga.id, "definition": saga.definition, "namespace": saga.namespace, "fields": fields}
