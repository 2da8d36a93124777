"""What is known of an effect after a call. A transport turns replies into outcomes; the rules read nothing else.

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
    NOT_SENT = "NotSent"
    """Nothing of the request left this engine (connection refused, name unknown): this call had no effect. Whatever
    may have been sent is UNKNOWN, for example when a connection that is already open is reset."""
    ABSENT = "Absent"
    """Only from a probe: the participant has never seen the call."""


class Direction(StrEnum):
    """Whether a call makes an effect or undoes it. Part of the idempotency key."""

    ACTION = "action"
    COMPENSATION = "compensation"
