"""The values of an event store: streams, events before and after they are stored, and positions in the global order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4


class Stream(NamedTuple):
    """All events of one aggregate. Aggregates of two types may have the same id, and are two streams (F2)."""

    aggregate_type: str
    aggregate_id: UUID

    def __str__(self) -> str:
        return f"{self.aggregate_type}/{self.aggregate_id}"


class Position(NamedTuple):
    """A place in the global order of a store: by transaction, then by the row's number.

    The row's number alone is not the order of commits. A transaction with number 7 may commit after one with number 8.
    A reader that remembers 8 would then never see 7 (F3).
    """

    transaction: int
    number: int

    def __str__(self) -> str:
        return f"{self.transaction}/{self.number}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what `str` wrote.

        Raises
        ------
        ValueError
            The text is not two whole numbers with a slash between them.
        """
        transaction, slash, number = text.partition("/")
        if not (slash and transaction.isdecimal() and number.isdecimal()):
            raise ValueError(f"{text!r} is not a position (expected for example 731/12)")
        return cls(int(transaction), int(number))


BEGINNING = Position(0, 0)
"""The position before the first event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """The origin of an event (S55). All fields are optional.

    Attributes
    ----------
    actor
        The person or program, for example `backoffice` or `shipping`.
    correlation_id
        The same for everything that one request led to.
    causation_id
        The event or message that this one answers.
    saga_id, traceparent
        The saga and the trace (W3C Trace Context) in which it happened.
    """

    actor: str | None = None
    correlation_id: UUID | None = None
    causation_id: UUID | None = None
    saga_id: UUID | None = None
    traceparent: str | None = None


UNKNOWN_PROVENANCE = Provenance()


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvent:
    """An event to be appended.

    Attributes
    ----------
    type
        Its name in the past tense, for example ORDER_CREATED.
    data
        A JSON object. Decimals, UUIDs and aware datetimes are written as text.
    schema_version
        The form of `data`, for example "1.0". Not the version of the aggregate, which the store assigns.
    occurred_at
        The time of the event, with a time zone. The default is now.
    """

    type: str
    data: Mapping[str, Any]
    schema_version: str = "1.0"
    id: UUID = field(default_factory=uuid4)
    occurred_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEvent:
    """An event from the store, with its data in the newest version that the code knows (S52).

    Attributes
    ----------
    version
        Its number in its stream: 1, 2, 3, without gaps. The requirements call it eventVersion.
    occurred_at
        Never before the previous event of the stream, even if a clock was set back.
    position
        Its place in the global order.
    """

    id: UUID
    stream: Stream
    version: int
    type: str
    schema_version: str
    data: Mapping[str, Any]
    occurred_at: datetime
    provenance: Provenance
    position: Position
