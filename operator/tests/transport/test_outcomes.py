"""The outcome of each HTTP status, and of each answer to a probe."""

import pytest

from kompensa.model.outcomes import Direction, Outcome
from kompensa.transport.replies import outcome_of_probe, outcome_of_status


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 201, 204), Outcome.SUCCEEDED),
        ((202,), Outcome.UNKNOWN),
        ((409, 422), Outcome.FAILED),
        ((401, 403, 404, 405), Outcome.MISCONFIGURED),
        ((400, 410, 429, 500, 502, 503, 504), Outcome.UNKNOWN),
        ((301, 302, 307, 100), Outcome.UNKNOWN),
    ],
)
def test_an_action_is_judged_by_its_status(statuses: tuple[int, ...], outcome: Outcome) -> None:
    assert {outcome_of_status(status, Direction.ACTION) for status in statuses} == {outcome}


def test_what_is_gone_needs_no_compensation() -> None:
    assert outcome_of_status(410, Direction.COMPENSATION) is Outcome.SUCCEEDED


def test_a_key_that_another_body_has_used_proves_nothing() -> None:
    assert outcome_of_status(422, Direction.ACTION, "IdempotencyKeyReused") is Outcome.UNKNOWN
    assert outcome_of_status(422, Direction.ACTION, "PaymentDeclined") is Outcome.FAILED


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("Succeeded", Outcome.SUCCEEDED),
        ("Failed", Outcome.FAILED),
        ("Tombstoned", Outcome.FAILED),
        ("Absent", Outcome.ABSENT),
        ("succeeded", Outcome.UNKNOWN),
        (None, Outcome.UNKNOWN),
        (7, Outcome.UNKNOWN),
    ],
)
def test_a_probe_is_judged_by_its_state(state: object, outcome: Outcome) -> None:
    assert outcome_of_probe(state) is outcome
