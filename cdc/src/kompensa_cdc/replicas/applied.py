"""The result of a batch that was written."""

from dataclasses import dataclass

from kompensa_consumer import Poison


@dataclass(frozen=True)
class Applied:
    """The result of a batch.

    Attributes
    ----------
    records
        The number of events in the batch.
    written
        The number of rows that changed in the copy.
    parked
        The events that do not fit, with their errors.
    superseded
        Keys with an event that does not fit but is not parked (any more), since the copy holds a newer version.
    """

    records: int
    written: int
    parked: tuple[Poison, ...]
    superseded: tuple[str, ...]
