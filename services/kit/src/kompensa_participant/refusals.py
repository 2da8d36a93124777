"""Which errors of an action are a refusal: a "no" for good, kept under its key. Any other keeps nothing.

A saga takes 409 and 422 for "nothing was kept" and does not undo the step. Whatever is answered so has to stay so: an
attempt that arrives late could succeed otherwise, and nobody would undo it. Errors that may pass by themselves (no
connection, a lock not granted, a deadlock) are never among them.
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
