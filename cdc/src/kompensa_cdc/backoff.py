"""How long to wait before trying again: doubling, bounded, and jittered so that waiters part."""

import random

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 10.0


def pause_seconds(attempt: int) -> float:
    """Return the pause after failed attempt number `attempt`, from 1."""
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  # spreading load, not a secret
