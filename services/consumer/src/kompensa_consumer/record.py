"""The part of confluent-kafka's Message that decoding reads, so that it can be tested without a broker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

RecordHeaders = Sequence[tuple[str, str | bytes | None]] | Mapping[str, str | bytes | None]


class Record(Protocol):
    """A consumed record. Never test one by truth: `bool(message)` is False for a tombstone in confluent-kafka."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> str | bytes | None: ...
    def value(self) -> str | bytes | None: ...
    def headers(self) -> RecordHeaders | None: ...
    def timestamp(self) -> tuple[int, int]: ...


def time_of(milliseconds: int) -> datetime | None:
    """Convert a record's time-stamp, in ms since 1970; None if it is outside of the calendar."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


@dataclass(frozen=True)
class StoredRecord:
    """An event that was put aside, in the form of its record. Its time, in ms since 1970, is when it was put aside."""

    topic_: str
    partition_: int
    offset_: int
    key_: str
    headers_: Mapping[str, str | None]
    value_: str | None
    stored_at: int

    def topic(self) -> str:
        return self.topic_

    def partition(self) -> int:
        return self.partition_

    def offset(self) -> int:
        return self.offset_

    def key(self) -> str:
        return self.key_

    def value(self) -> str | None:
        return self.value_

    def headers(self) -> Mapping[str, str | None]:
        return self.headers_

    def timestamp(self) -> tuple[int, int]:
        return (1, self.stored_at)
