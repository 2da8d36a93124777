"""Collect the records of one batch, bounded by number and by bytes, so that the worker's memory is bounded too."""

import time
from collections.abc import Callable, Sequence

from confluent_kafka import Message

# Three batches are in memory at once (one being read, one in the queue, one being written), each with its rows.
MAX_BATCH_BYTES = 4 * 1024 * 1024

Poll = Callable[[float], Message | None]


def gather(
    poll: Poll, left: Sequence[Message], *, max_records: int, idle_seconds: float, gather_seconds: float
) -> list[Message]:
    """Return the records in `left`, followed by those that `poll` returns, until the batch is full.

    Parameters
    ----------
    poll
        Returns the next record, or None if none comes within the given seconds.
    left
        Records that were polled before, while the partitions were paused.
    idle_seconds
        How long to wait for a first record if nothing is left.
    gather_seconds
        How long to go on gathering after the first record; 0 takes only records that have arrived.
    """
    records = list(left)
    size = sum(len(record) for record in records)
    until = time.monotonic() + gather_seconds
    read = poll(0.0 if records else idle_seconds)
    # Compared with None: a tombstone is a message that is false.
    while read is not None:
        records.append(read)
        size += len(read)
        if len(records) >= max_records or size >= MAX_BATCH_BYTES:
            break
        read = poll(max(0.0, until - time.monotonic()))
    return records
