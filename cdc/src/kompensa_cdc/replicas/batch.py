"""A batch on its way from Kafka to the database: what was read, and over which offsets it moves."""

from collections import Counter
from dataclasses import dataclass, replace

from kompensa_cdc.events import Poison
from kompensa_cdc.replicas.bookkeeping import Advance, Partition
from kompensa_cdc.replicas.changes import Change


@dataclass(frozen=True)
class Batch:
    """`items` in the order they were read; `moves` one per partition, all of it applied or nothing."""

    items: tuple[Change | Poison, ...]
    moves: tuple[Advance, ...]

    def cut(self, size: int) -> tuple["Batch", "Batch | None"]:
        """Part the first `size` items from the rest, each with its moves; the rest is to be applied after them."""
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
    """What a batch did: `written` rows changed in the copy, `parked` events put aside with their errors.

    `superseded`: keys of which events that do not fit are left, or left aside, for something newer in the copy.
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
