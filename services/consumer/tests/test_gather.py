"""A batch is bounded; records that do not fit come with the next one, in the same order."""

from collections import deque
from dataclasses import dataclass
from typing import Any

from kompensa_consumer.gather import MAX_BATCH_BYTES, gather


@dataclass(frozen=True)
class Sized:
    offset: int
    size: int

    def __len__(self) -> int:
        return self.size


class Client:
    """A client with records that wait in a topic. `patience` has the seconds that each poll would have waited."""

    def __init__(self, *sizes: int) -> None:
        self.waiting = deque(Sized(offset, size) for offset, size in enumerate(sizes))
        self.patience: list[float] = []

    def poll(self, seconds: float) -> Any:
        self.patience.append(seconds)
        return self.waiting.popleft() if self.waiting else None


def batches(client: Client, *, max_records: int = 1000) -> list[list[int]]:
    found: list[list[int]] = []
    while client.waiting:
        records: list[Any] = gather(client.poll, [], max_records=max_records, idle_seconds=0.1, gather_seconds=0.0)
        found.append([record.offset for record in records])
    return found


def test_large_records_make_small_batches_in_their_order() -> None:
    third = MAX_BATCH_BYTES // 3 + 1
    assert batches(Client(*[third] * 7)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_record_larger_than_a_batch_is_one() -> None:
    assert batches(Client(2 * MAX_BATCH_BYTES, 1, 2 * MAX_BATCH_BYTES, 1)) == [[0], [1, 2], [3]]


def test_small_records_are_bounded_by_their_number() -> None:
    assert batches(Client(*[0] * 5), max_records=2) == [[0, 1], [2, 3], [4]]


def test_left_records_come_first_and_count() -> None:
    left: Any = [Sized(7, MAX_BATCH_BYTES)]
    client = Client(1, 1)
    records: list[Any] = gather(client.poll, left, max_records=1000, idle_seconds=0.1, gather_seconds=0.0)

    assert [record.offset for record in records] == [7, 0]
    assert client.patience == [0.0]


def test_only_the_first_record_is_waited_for_while_the_database_is_idle() -> None:
    client = Client(1, 0, 1)
    gather(client.poll, [], max_records=1000, idle_seconds=0.1, gather_seconds=0.0)
    assert client.patience == [0.1, 0.0, 0.0, 0.0]


def test_while_the_database_is_busy_more_is_gathered() -> None:
    client = Client(1)
    gather(client.poll, [], max_records=1000, idle_seconds=0.1, gather_seconds=30.0)
    assert client.patience[0] == 0.1
    assert 1.0 < client.patience[1] <= 30.0  # what is left of them, on a machine of any speed
