"""The errors of the event store."""

from __future__ import annotations

from kompensa_eventstore.events import StoredEvent, Stream


class EventStoreError(Exception):
    """Base of all errors that this package raises by itself."""


class VersionConflictError(EventStoreError):
    """The stream is not at the version that the caller expects. Usually another writer was faster.

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
    """An event cannot be stored, because its type, version, data or time is not valid. Nothing was written."""


class UnknownEventError(EventStoreError, LookupError):
    """This code cannot read a stored event: newer code wrote its type or version, or an upcast failed.

    Attributes
    ----------
    event
        The event as it is stored, or None if only its type and version are known.
    """

    def __init__(self, text: str, *, event: StoredEvent | None = None) -> None:
        super().__init__(text)
        self.event = event


class RestoredElsewhereError(EventStoreError):
    """The table was restored into another server, where its global order is not valid. See `after_restore`."""
