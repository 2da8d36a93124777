"""How long to wait before the next attempt: doubling, bounded, and spread."""

from __future__ import annotations

import random
from dataclasses import dataclass

# Beyond this exponent any longest wait is reached, and a float must not overflow.
_HIGHEST_EXPONENT = 20


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Waits that double from `first` seconds up to `longest`.

    `spread` is the share by which a wait may be shortened at random, so that all that failed together do not come back
    together; 0 makes the waits exact.
    """

    first: float
    longest: float
    spread: float = 0.5

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after the given number of failures in a row, from 1."""
        exact = min(self.longest, self.first * 2.0 ** min(failures - 1, _HIGHEST_EXPONENT))
        return exact * random.uniform(1.0 - self.spread, 1.0)  # noqa: S311  # spreading load, not a secret
