"""A batch on its way from Kafka to the database: its events, and the offsets that it moves."""

from collections import Counter
from dataclasses import dataclass, replace

from kompensa_cdc.events import Poison
from kompensa_cdc.replicas.bookkeeping import Advance, Partition
from kompensa_cdc.replicas.changes import Change


@dataclass(frozen=True)
class Batch:
    """Events in the order they were read, and one move of the offset per partition: all are applied, or none."""

    items: tuple[Change | Poison, ...]
    moves: tuple[Advance, ...]

    def cut(self, size: int) -> tuple["Batch", "Batch | None"]:
        """Split off the first `size` items, each part with its moves. The rest must be applied after the first part."""
        if len(self.items) <= size:
            return self, None
        first, rest = self.items[:size], self.items[size:]
        ends: dict[Partition, int] = {}
        records: Counter[Partition] = Counter()
        for item in first:
            placed = item.event if isinstance(item, Change) else item
            ends[placed.topic, placed.partition] = placed.offset + 1
            records[placed.topic, placed.partition] += 1
        done: list[Advance] = []
        left: list[Advance] = []
        for move in self.moves:
            partition = (move.topic, move.partition)
            remaining = move.records - records[partition]
            if remaining == 0:
                done.append(move)
            elif partition in ends:
                done.append(replace(move, next_offset=ends[partition], records=records[partition]))
                left.append(replace(move, start=ends[partition], records=remaining))
            else:
                left.append(move)
        return Batch(first, tuple(done)), Batch(rest, tuple(left))


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

    def __add__(self, other: "Applied") -> "Applied":
        return Applied(
            records=self.records + other.records,
            written=self.written + other.written,
            parked=self.parked + other.parked,
            superseded=tuple(sorted({*self.superseded, *other.superseded})),
        )
