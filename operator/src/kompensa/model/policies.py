"""How long to wait before a call is repeated.

Jitter is derived from the saga, the step and the attempt instead of a random source: the transition function stays
pure, a replay waits the same time, and different sagas still spread out.
"""

from __future__ import annotations

from zlib import crc32

from msgspec import Struct

LARGEST_EXPONENT = 64
"""Beyond any maximum interval; a float would overflow long before the attempts end."""


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """When and how often a call whose outcome is unknown is repeated. Intervals in seconds.

    `maximum_attempts` counts the first call. `jitter` is the share by which an interval may be shortened or
    lengthened (0.2 = ±20 %).
    """

    initial_interval: float = 0.2
    backoff_coefficient: float = 2.0
    maximum_interval: float = 30.0
    maximum_attempts: int = 6
    jitter: float = 0.2


def interval(policy: RetryPolicy, *, seed: str, attempt: int, at_least: float = 0.0) -> float:
    """Seconds to wait after attempt number `attempt` (from 1); `at_least` is what the participant asked for.

    At most the maximum interval with its jitter, or what the participant asked for.
    """
    exponent = min(max(attempt, 1) - 1, LARGEST_EXPONENT)
    bounded = min(policy.initial_interval * policy.backoff_coefficient**exponent, policy.maximum_interval)
    spread = crc32(f"{seed}/{attempt}".encode()) / 0xFFFFFFFF * 2 - 1
    return max(bounded * (1 + policy.jitter * spread), at_least)
