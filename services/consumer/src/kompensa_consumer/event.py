"""The meaning of a record of a topic: an event of one aggregate, or poison.

Structs of msgspec rather than dataclasses: one is made per record, and this is the hot path.
"""

from datetime import datetime
from typing import Any

import msgspec

Headers = dict[str, str | None]


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a record in its topic, which no other record has."""

    topic: str
    partition: int
    offset: int

    @property
    def place(self) -> tuple[str, int, int]:
        return (self.topic, self.partition, self.offset)


class Event(Placed, frozen=True, kw_only=True):
    """One change of one aggregate.

    `key` is the aggregate's id, `version` the version of the event's format ("1.0"), `aggregate_version` the
    aggregate's own counter, which orders the events of a key. `payload` is None for a tombstone. `value` is the text of
    the payload, kept in case the event must be parked. `occurred_at` is by default the record's time-stamp.
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
    """A record that cannot be applied, with everything that a person needs to see why.

    `error` names what was expected. Every text is fit for PostgreSQL (without NUL), and `key` is short enough for an
    index, even if the record's own were not.
    """

    key: str
    headers: Headers
    value: str | None
    error: str


class PoisonError(Exception):
    """One record cannot be applied. Never raised for trouble that a retry could overcome."""
