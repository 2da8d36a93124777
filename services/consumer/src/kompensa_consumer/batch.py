"""A batch on its way from Kafka to the database: its events, and the offsets that it moves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from kompensa_consumer.offsets import Advance, Partition


class HasPlace(Protocol):
    """An item that knows its record's place: topic, partition and offset."""

    @property
    def place(self) -> tuple[str, int, int]: ...


Item = TypeVar("Item", bound=HasPlace)


@dataclass(frozen=True)
class Batch(Generic[Item]):
    """Events in the order they were read, and one move of the offset per partition: all are applied, or none."""

    items: tuple[Item, ...]
    moves: tuple[Advance, ...]

    def cut(self, size: int) -> tuple[Batch[Item], Batch[Item] | None]:
        """Split off the first `size` items, each part with its moves. The rest must be applied after the first part."""
        if len(self.items) <= size:
            return self, None
        first, rest = self.items[:size], self.items[size:]
        ends: dict[Partition, int] = {}
        records: Counter[Partition] = Counter()
        for topic, number, offset in (item.place for item in first):
            ends[topic, number] = offset + 1
            records[topic, number] += 1
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
