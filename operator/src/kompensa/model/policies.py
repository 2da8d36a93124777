"""How long to wait before a call is repeated.

Jitter is computed from the saga, the step and the attempt instead of taken from a random source. So `advance` stays
pure, a replay waits as long as before, and different sagas still do not retry at the same moment.
"""

from __future__ import annotations

from zlib import crc32

from msgspec import Struct

LARGEST_EXPONENT = 64
"""Larger exponents would overflow a float. The maximum interval is reached long before."""


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """When and how often a call is repeated if its outcome is unknown. Intervals are in seconds.

    Attributes
    ----------
    maximum_attempts
        Includes the first call.
    jitter
        The share by which an interval may be shortened or lengthened, for example 0.2 for 20 %.
    """

    initial_interval: float = 0.2
    backoff_coefficient: float = 2.0
    maximum_interval: float = 30.0
    maximum_attempts: int = 6
    jitter: float = 0.2


def interval(policy: RetryPolicy, *, seed: str, attempt: int, at_least: float = 0.0) -> float:
    """Seconds to wait after an attempt. The result is at most the maximum interval with its jitter, or `at_least`.

    Parameters
    ----------
    seed
        Names the call, for example by saga and step. Different seeds get different jitter.
    attempt
        Number of the attempt, from 1.
    at_least
        Seconds for which the participant asked not to be called.
    """
    exponent = min(max(attempt, 1) - 1, LARGEST_EXPONENT)
    bounded = min(policy.initial_interval * policy.backoff_coefficient**exponent, policy.maximum_interval)
    spread = crc32(f"{seed}/{attempt}".encode()) / 0xFFFFFFFF * 2 - 1
    return max(bounded * (1 + policy.jitter * spread), at_least)
