"""A batch in parts: every item and every record once, and each part's offsets begin where the one before ended."""

from hypothesis import given
from hypothesis import strategies as st

from kompensa_consumer import Batch, Poison
from kompensa_consumer.offsets import Advance, Partition

FIRST = 5  # offset at which each partition's move starts


def batch_of(partitions: list[int]) -> Batch[Poison]:
    ends: dict[int, int] = {}
    items: list[Poison] = []
    for partition in partitions:
        offset = ends.get(partition, FIRST) + 1  # with gaps, as transactions and compaction leave them
        ends[partition] = offset + 1
        items.append(Poison(topic="t", partition=partition, offset=offset, key="k", headers={}, value=None, error=""))
    moves = [
        Advance(
            topic="t",
            partition=partition,
            start=FIRST,
            next_offset=end,
            epoch=1,
            records=partitions.count(partition),
        )
        for partition, end in ends.items()
    ]
    return Batch(tuple(items), tuple(moves))


@given(partitions=st.lists(st.integers(0, 3), min_size=1, max_size=20), size=st.integers(1, 21))
def test_parts_come_to_the_whole_in_items_records_and_offsets(partitions: list[int], size: int) -> None:
    whole = batch_of(partitions)
    parts: list[Batch[Poison]] = []
    rest: Batch[Poison] | None = whole
    while rest is not None:
        part, rest = rest.cut(size)
        parts.append(part)

    assert [item for part in parts for item in part.items] == list(whole.items)
    reached: dict[Partition, int] = {}
    for part in parts:
        assert 1 <= len(part.items) <= size
        assert sum(move.records for move in part.moves) == len(part.items)
        for move in part.moves:
            assert move.start == reached.get((move.topic, move.partition), FIRST)
            reached[move.topic, move.partition] = move.next_offset
            mine = [item for item in part.items if isinstance(item, Poison) and item.partition == move.partition]
            assert mine[-1].offset + 1 == move.next_offset
    assert reached == {(move.topic, move.partition): move.next_offset for move in whole.moves}
