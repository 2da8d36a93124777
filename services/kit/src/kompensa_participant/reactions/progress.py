"""The state of a service's reactions: its consumer's, and the events that wait in the inbox."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kompensa_consumer import Progress


class ReactionsProgress(Progress):
    """The state, as /reactions and /metrics show it. `waiting` is the number of events by state."""

    waiting: Mapping[str, int] = {}
    crashed = False

    @property
    def alive(self) -> bool:
        """False if the reader hangs or has crashed: a new process helps."""
        return super().alive and not self.crashed

    def note_applied(self, occurred_at: datetime) -> None:
        """An event was handled or put aside; it had happened at this time."""
        self.last_applied_time = datetime.now(UTC)
        self.last_event_time = occurred_at

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "waiting": dict(self.waiting)}
