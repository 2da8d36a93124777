"""Find the events of one saga in all topics, by their header `saga-id`.

A span of time bounds what is read: from the first record that Kafka received after its begin to the first one after its
end. As in `follow`, nothing is committed and no consumer group is joined.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kafka.errors import KafkaError

from kafka import TopicPartition
from kompensa_cdc.watch.follow import POLL_SECONDS, WatchError, consumer_of, own_topics, watched_records
from kompensa_cdc.watch.record import WatchedRecord

SAGA_HEADER = "saga-id"
Progress = Callable[[int, int], None]
"""Called with the records that were read, and with all that are to be read."""


@dataclass(frozen=True)
class Span:
    """A half-open span of time, by Kafka's time-stamps."""

    begin: datetime
    end: datetime


def events_of_saga(
    bootstrap: str, saga_id: str, span: Span, *, timeout: float, progress: Progress | None = None
) -> list[WatchedRecord]:
    """Read the topics once, and return the saga's events by topic, partition and offset.

    Parameters
    ----------
    span
        When Kafka received the records to read.
    timeout
        Seconds after which to give up.

    Raises
    ------
    WatchError
        If the broker does not answer, or the topics hold more in this span than can be read in time.
    """
    consumer = consumer_of(bootstrap)
    try:
        return _read(consumer, saga_id, _ranges(consumer, span), timeout, progress or (lambda done, total: None))
    except KafkaError as error:
        raise WatchError(f"Kafka at {bootstrap}: {error}") from None
    finally:
        consumer.close()


def _ranges(consumer: Any, span: Span) -> dict[TopicPartition, tuple[int, int]]:
    """The offsets to read in each partition that has something to read: from, and up to."""
    partitions = [
        TopicPartition(topic, number)
        for topic in own_topics(consumer)
        for number in consumer.partitions_for_topic(topic) or ()
    ]
    if not partitions:
        return {}
    ends = consumer.end_offsets(partitions)
    begins, limits = (_offsets_at(consumer, ends, moment) for moment in (span.begin, span.end))
    return {each: (begins[each], limits[each]) for each in partitions if begins[each] < limits[each]}


def _offsets_at(consumer: Any, ends: Mapping[TopicPartition, int], moment: datetime) -> dict[TopicPartition, int]:
    """The first offset of each partition that is not older than the moment; its end, if all records are older."""
    found = consumer.offsets_for_times(dict.fromkeys(ends, int(moment.timestamp() * 1000)))
    return {each: found[each].offset if found.get(each) else end for each, end in ends.items()}


def _read(
    consumer: Any,
    saga_id: str,
    ranges: Mapping[TopicPartition, tuple[int, int]],
    timeout: float,
    progress: Progress,
) -> list[WatchedRecord]:
    total = sum(end - begin for begin, end in ranges.values())
    consumer.assign(list(ranges))
    for partition, (begin, _) in ranges.items():
        consumer.seek(partition, begin)
    positions = {partition: begin for partition, (begin, _) in ranges.items()}
    found: list[WatchedRecord] = []
    deadline = time.monotonic() + timeout
    while any(positions[each] < end for each, (_, end) in ranges.items()):
        left = sum(max(0, end - positions[each]) for each, (_, end) in ranges.items())
        progress(total - left, total)
        if time.monotonic() > deadline:
            raise WatchError(
                f"{total - left} of {total} records were read in {timeout:g} s: give more time, or a shorter span"
            )
        polled = consumer.poll(timeout_ms=int(POLL_SECONDS * 1000))
        wanted = {each: _of_saga(records, saga_id, ranges[each][1]) for each, records in polled.items()}
        found += watched_records(consumer, wanted)
        positions.update({each: consumer.position(each) for each in ranges})
    progress(total, total)
    return sorted(found, key=lambda each: (each.topic, each.partition, each.offset))


def _of_saga(records: Sequence[Any], saga_id: str, end: int) -> list[Any]:
    header = (SAGA_HEADER, saga_id.encode())
    return [record for record in records if record.offset < end and header in record.headers]
