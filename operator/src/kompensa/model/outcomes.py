"""What a reply says about its effect: three outcomes, and a fourth for a call that is itself wrong.

The whole point is `UNKNOWN`: a time-out, a reset connection, a 5xx or a 429 says nothing about whether the effect
took place, so neither "done" nor "not done" may be concluded from it.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What is known of an effect after a call."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """Refused by the business; the participant kept nothing."""
    UNKNOWN = "Unknown"
    MISCONFIGURED = "Misconfigured"
    """The call itself is wrong (address, credentials). Repeating it would only hammer the participant."""
    ABSENT = "Absent"
    """Only from a probe: the participant has never seen the call."""


class Direction(StrEnum):
    """Whether a call makes an effect or undoes it. Part of the idempotency key."""

    ACTION = "action"
    COMPENSATION = "compensation"


FAILED_STATUSES = frozenset({409, 422})
MISCONFIGURED_STATUSES = frozenset({401, 403, 404, 405})
GONE = 410
KEY_REUSED = "IdempotencyKeyReused"


def outcome_of_status(status: int, direction: Direction, reason: str | None = None) -> Outcome:
    """Classify an HTTP status, with the reason that its problem document gave (its type in CamelCase).

    202 is not an answer yet, so it is `UNKNOWN`: the same key will be asked again. A key that is taken by another
    body is `UNKNOWN` too, although its status says refused: the request it was first used for may have had an effect.
    """
    if status == 202 or reason == KEY_REUSED:
        return Outcome.UNKNOWN
    if 200 <= status < 300:
        return Outcome.SUCCEEDED
    if status in FAILED_STATUSES:
        return Outcome.FAILED
    if status == GONE and direction is Direction.COMPENSATION:
        return Outcome.SUCCEEDED
    if status in MISCONFIGURED_STATUSES:
        return Outcome.MISCONFIGURED
    return Outcome.UNKNOWN


PROBED_STATES = {
    "Succeeded": Outcome.SUCCEEDED,
    "Failed": Outcome.FAILED,
    "Tombstoned": Outcome.FAILED,
    "Absent": Outcome.ABSENT,
}


def outcome_of_probe(state: object) -> Outcome:
    """Classify the `state` a participant's operations probe reports; anything unheard of stays `UNKNOWN`."""
    return PROBED_STATES.get(str(state), Outcome.UNKNOWN)
