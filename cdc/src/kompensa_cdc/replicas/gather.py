"""How much of what waits in the topics becomes one batch: bounded by number and by bytes, so that memory is too."""

import time
from collections.abc import Callable, Sequence

from confluent_kafka import Message

# Three batches are alive at once (one being read, one in the queue, one being applied), each with its rows beside it.
MAX_BATCH_BYTES = 4 * 1024 * 1024

Poll = Callable[[float], Message | None]


def gather(
    poll: Poll, left: Sequence[Message], *, max_records: int, idle_seconds: float, gather_seconds: float
) -> list[Message]:
    """Return what was `left` and what `poll` gives on top; what there is no room for stays where it is.

    Parameters
    ----------
    poll
        Gives the next record, waiting for it at most the given time.
    idle_seconds
        How long to wait for a first record when nothing is left.
    gather_seconds
        How long to go on gathering once there is one; 0 takes only what is there already.
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
