"""Why an attempt to handle an event failed, and whether another attempt could help. Pure."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from kompensa_consumer.faults import Fault, explain, fault_of
from kompensa_participant.problem import Problem
from kompensa_participant.reactions.event import UnfitEventError

LONGEST_ERROR = 500
LONGEST_TRACEBACK = 8000
# The handler's statements may be the cause of these: conflicts with others, time limits, a transaction left broken.
_OF_THE_HANDLER = ("40", "57014", "55P03", "25P02")
_REFUSALS = (409, 422)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failed attempt, as a person needs to see it. `final`: another attempt would fail in the same way."""

    error: str
    traceback: str | None = None
    final: bool = False


def failure_of(error: Exception, *, time_limit: float) -> Failure:
    """Describe the error of a handler. The traceback has the code's lines, and no values of the event."""
    trace = "".join(traceback.format_tb(error.__traceback__))[-LONGEST_TRACEBACK:]
    text = _in_words(error, time_limit)[:LONGEST_ERROR]
    return Failure(error=_storable(text), traceback=_storable(trace), final=_is_final(error))


def is_trouble(error: Exception, connection: AsyncConnection[object]) -> bool:
    """Whether the database is in trouble, so that the event is not to blame and the same attempt is repeated."""
    if connection.closed:
        return True
    if not isinstance(error, psycopg.Error):
        return False
    state = error.sqlstate or ""
    return fault_of(error) is Fault.DATABASE and not state.startswith(_OF_THE_HANDLER)


def _storable(text: str) -> str:
    """Without the characters that PostgreSQL's text cannot hold: NUL, and half a surrogate pair."""
    return text.replace("\0", "").encode(errors="replace").decode()


def _is_final(error: Exception) -> bool:
    return isinstance(error, UnfitEventError) or (isinstance(error, Problem) and error.status in _REFUSALS)


def _in_words(error: Exception, time_limit: float) -> str:
    match error:
        case UnfitEventError():
            return str(error)
        case Problem():
            return f"{error.slug}: {error.detail}"
        case psycopg.Error():
            return f"PostgreSQL: {explain(error)}"
        case TimeoutError() if not str(error):
            return f"the handler was not done within {time_limit:g} s"
        case _:
            return f"{type(error).__name__}: {error}"
