"""Percentiles, and a plain way to show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured row: what, how often, and its spread. Times in milliseconds."""

    what: str
    count: int
    p50: float
    p99: float
    worst: float
    per_second: float | None = None

    def line(self) -> str:
        rate = f"{self.per_second:9.1f}/s" if self.per_second is not None else " " * 11
        return (
            f"{self.what:<58}{self.count:>6}{rate}  p50 {self.p50:8.1f}  p99 {self.p99:8.1f}  max {self.worst:8.1f} ms"
        )


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile; `share` between 0 and 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def figure(what: str, milliseconds: Sequence[float], *, elapsed: float | None = None) -> Figure:
    """Summarise; `elapsed` in seconds gives the rate."""
    return Figure(
        what=what,
        count=len(milliseconds),
        p50=percentile(milliseconds, 0.5),
        p99=percentile(milliseconds, 0.99),
        worst=max(milliseconds),
        per_second=len(milliseconds) / elapsed if elapsed else None,
    )


def milliseconds(start: str, end: str) -> float:
    """Between two times in ISO 8601."""
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000
