"""Which errors of an action are a refusal: a final "no" that is kept under its key. Any other keeps nothing.

To a saga, 409 and 422 mean that nothing was kept, so it does not undo the step. Such an answer has to stay the same: an
attempt that arrives late could succeed otherwise, and its effect would never be undone. Errors that may
pass by themselves (no connection, a lock not granted, a deadlock) are never among them.
"""

from __future__ import annotations

import structlog
from psycopg import DataError, IntegrityError

from kompensa_participant.problem import Problem

log = structlog.get_logger()

DATABASE_REFUSALS = (IntegrityError, DataError, UnicodeEncodeError)
"""A constraint is broken (SQLSTATE class 23), or a value cannot be held by the database (22) or by no text at all."""


def refusal_of(error: Exception) -> Problem | None:
    """The problem to keep, or None where the same call may be made again."""
    match error:
        case IntegrityError():
            problem = constraint_broken(error)
            log.warning("refused by the database", reason=problem.detail)
            return problem
        case DataError() | UnicodeEncodeError():
            log.warning("refused by the database", reason=str(error))
            return unfit()
        case Problem(status=409 | 422):
            return error
        case _:
            return None


def constraint_broken(error: IntegrityError) -> Problem:
    """409. The net below a service's own checks, e.g. against a second reservation for the same saga."""
    name = error.diag.constraint_name or error.diag.column_name or "a constraint"
    return Problem(409, "constraint-broken", f"the change breaks {name}; nothing was kept")


def unfit() -> Problem:
    """422. E.g. a NUL character, or a number that is too large for its column."""
    return Problem(422, "request-invalid", "the request has a value that cannot be stored")
