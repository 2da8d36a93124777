"""What a caller of the event store has to expect."""

from __future__ import annotations

from kompensa_eventstore.events import Stream


class EventStoreError(Exception):
    """Base of all errors that this package raises by itself."""


class VersionConflictError(EventStoreError):
    """The stream has moved on since the caller read it, or was never where the caller expects it.

    Attributes
    ----------
    expected, actual
        Versions of the stream; 0 means that it has no events.
    """

    def __init__(self, stream: Stream, *, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not at {expected}: load it again and decide again")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class InvalidEventError(EventStoreError, ValueError):
    """An event that must not be stored: its type, form, data or time is wrong. Nothing was written."""


class UnknownEventError(EventStoreError, LookupError):
    """A stored event that this code cannot read, because its type or version was made by newer code."""


class RestoredElsewhereError(EventStoreError):
    """The table was restored into another server, so that its global order means nothing: see `after_restore`."""
