"""Outcomes: how much is known about an effect after a call.

A transport turns each reply into an outcome, and the rules of a saga read nothing else.

The important one is `UNKNOWN`. After a time-out, a reset connection, a 5xx or a 429, the effect may or may not have
taken place. The rules must then assume neither.
"""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How much is known about an effect after a call."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """The participant refused the call for a business reason. There is no effect."""
    UNKNOWN = "Unknown"
    """The call may or may not have had its effect, for example after a time-out."""
    MISCONFIGURED = "Misconfigured"
    """The call itself is wrong, for example its path or its token. Repeating it cannot help."""
    NOT_SENT = "NotSent"
    """Nothing of the request left this engine, for example because the connection was refused or the name is unknown.
    This call had no effect. If a part may have been sent, the outcome is UNKNOWN."""
    ABSENT = "Absent"
    """Only as the answer to a probe: the participant has not seen the call."""


class Direction(StrEnum):
    """Whether a call makes an effect or undoes it. The idempotency key contains the direction."""

    ACTION = "action"
    COMPENSATION = "compensation"
