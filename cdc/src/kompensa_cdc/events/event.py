"""What a record of a topic means: an event of one aggregate, or poison.

Structs of msgspec rather than dataclasses: one is made per record, and this is the hot path.
"""

from datetime import datetime
from typing import Any

import msgspec

Headers = dict[str, str | None]


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record lies; no two lie at one place."""

    topic: str
    partition: int
    offset: int

    @property
    def place(self) -> tuple[str, int, int]:
        return (self.topic, self.partition, self.offset)


class Event(Placed, frozen=True, kw_only=True):
    """One change of one aggregate.

    `key` is the aggregate's id, `version` the version of the event's form ("1.0"), `aggregate_version` the aggregate's
    own counter, by which events of a key are ordered. `payload` is None for a tombstone; `value` is what it was read
    from, kept for the case that the event cannot be applied. `occurred_at` falls back to the record's time-stamp.
    """

    key: str
    type: str
    version: str
    aggregate_version: int
    payload: dict[str, Any] | None
    value: str | bytes | None
    headers: Headers
    occurred_at: datetime


class Poison(Placed, frozen=True, kw_only=True):
    """A record that cannot be applied, with all a person needs to see why; `error` names what was expected.

    Every text in it is fit for PostgreSQL (no NUL), and `key` for an index, whatever the record held.
    """

    key: str
    headers: Headers
    value: str | None
    error: str


class PoisonError(Exception):
    """Raised while one record is looked at; never for trouble that a retry could mend."""
