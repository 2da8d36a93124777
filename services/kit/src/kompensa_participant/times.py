"""Times as events and replies write them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(moment: datetime) -> str:
    """ISO 8601 with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
