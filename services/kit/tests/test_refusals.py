"""Which errors of an action are kept as its refusal, without a database."""

from __future__ import annotations

import pytest
from psycopg import OperationalError, errors

from kompensa_participant.problem import Problem, Refused
from kompensa_participant.refusals import refusal_of


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (errors.UniqueViolation(), 409, "constraint-broken"),
        (errors.CheckViolation(), 409, "constraint-broken"),
        (errors.ForeignKeyViolation(), 409, "constraint-broken"),
        (errors.ExclusionViolation(), 409, "constraint-broken"),
        (errors.NotNullViolation(), 409, "constraint-broken"),
        (errors.NumericValueOutOfRange(), 422, "request-invalid"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), 422, "request-invalid"),
        (Refused("no-stock", "none left", status=409), 409, "no-stock"),
        (Problem(422, "no-such-method", "unknown"), 422, "no-such-method"),
    ],
)
def test_what_a_saga_reads_as_a_refusal_is_one(error: Exception, status: int, slug: str) -> None:
    refusal = refusal_of(error)
    assert refusal is not None
    assert (refusal.status, refusal.slug) == (status, slug)


@pytest.mark.parametrize(
    "error",
    [
        errors.SerializationFailure(),
        errors.DeadlockDetected(),
        errors.LockNotAvailable(),
        errors.QueryCanceled(),
        errors.AdminShutdown(),
        errors.ReadOnlySqlTransaction(),
        OperationalError("the connection is closed"),
        Problem(503, "not-now", "ask again"),
        Problem(404, "unknown-order", "there is no such order"),
        RuntimeError("a fault of the service"),
    ],
)
def test_what_may_be_otherwise_at_the_next_attempt_is_none(error: Exception) -> None:
    assert refusal_of(error) is None
