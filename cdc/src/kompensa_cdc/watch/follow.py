"""Follow topics for a person, through kafka-python: a second client, independent of the worker's.

It joins no consumer group and commits nothing, so that no worker is disturbed. Every wait is bounded: while no record
comes, the generator yields None, so that its caller can stop, draw or count.
"""

import difflib
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka.errors import KafkaError

from kafka import KafkaConsumer, TopicPartition
from kompensa_cdc.watch.record import WatchedRecord
from kompensa_consumer import time_of

CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 10.0
POLL_SECONDS = 0.5


class WatchError(Exception):
    """A topic cannot be followed; the text says what to do."""


class UnknownTopicError(WatchError):
    """The topic does not exist; the text names similar ones."""


@dataclass(frozen=True)
class Latest:
    """Start after the newest record."""


@dataclass(frozen=True)
class Beginning:
    """Start with the oldest record that the topic holds."""


@dataclass(frozen=True)
class Last:
    """Start with the last `count` records."""

    count: int


Start = Latest | Beginning | Last


def follow(
    bootstrap: str, topics: Sequence[str], *, start: Start | None = None, key: str | None = None
) -> Generator[WatchedRecord | None, None, None]:
    """Yield records as they come, and None after each quiet half second; end it by closing the generator.

    Parameters
    ----------
    topics
        Names of existing topics.
    start
        The first record to yield; Latest by default.
    key
        Yield only records with this key.

    Raises
    ------
    UnknownTopicError
        If a topic does not exist.
    WatchError
        If the broker does not answer.
    """
    consumer = consumer_of(bootstrap)
    try:
        partitions = _partitions(consumer, topics, bootstrap)
        consumer.assign(partitions)
        _place(consumer, partitions, start or Latest())
        while True:
            polled = consumer.poll(timeout_ms=int(POLL_SECONDS * 1000))
            yield from (each for each in watched_records(consumer, polled) if key is None or each.key == key)
            if not polled:
                yield None
    except KafkaError as error:
        raise WatchError(f"Kafka at {bootstrap}: {error}") from None
    finally:
        consumer.close()


def topic_names(bootstrap: str) -> list[str]:
    """Return the names of all topics except Kafka's own."""
    consumer = consumer_of(bootstrap)
    try:
        return sorted(name for name in consumer.topics() if not name.startswith("__"))
    finally:
        consumer.close()


def topic_counts(bootstrap: str) -> dict[str, int]:
    """Return the number of records in each topic, except in those of Kafka and Connect themselves."""
    consumer = consumer_of(bootstrap)
    try:
        names = own_topics(consumer)
        partitions = {
            name: [TopicPartition(name, number) for number in consumer.partitions_for_topic(name)] for name in names
        }
        every = [partition for own in partitions.values() for partition in own]
        begins, ends = consumer.beginning_offsets(every), consumer.end_offsets(every)
        return {name: sum(ends[each] - begins[each] for each in own) for name, own in partitions.items()}
    finally:
        consumer.close()


def own_topics(consumer: Any) -> list[str]:
    """Return the names of the topics except those of Kafka and Connect themselves."""
    return sorted(name for name in consumer.topics() if not name.startswith(("__", "connect-")))


def consumer_of(bootstrap: str) -> Any:
    """Connect a consumer that commits nothing.

    Raises
    ------
    WatchError
        If the broker does not answer.
    """
    try:
        return KafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=None,
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
            request_timeout_ms=int(REQUEST_SECONDS * 1000),
            # A seek waits until the current fetch ends, so a person would notice longer waits at the broker.
            fetch_max_wait_ms=100,
        )
    except (KafkaError, OSError, ValueError) as error:
        raise WatchError(
            f"Kafka at {bootstrap} does not answer ({type(error).__name__}): check the address and that a broker is up"
        ) from None


def _partitions(consumer: Any, topics: Sequence[str], bootstrap: str) -> list[TopicPartition]:
    known = sorted(consumer.topics())
    for topic in topics:
        if topic not in known:
            raise UnknownTopicError(f"Kafka at {bootstrap} has no topic {topic}: {suggestion(topic, known)}")
    return [
        TopicPartition(topic, number) for topic in topics for number in sorted(consumer.partitions_for_topic(topic))
    ]


def suggestion(topic: str, known: Sequence[str]) -> str:
    """Suggest similar names, or if there are none, list the existing ones."""
    near = difflib.get_close_matches(topic, known, n=3, cutoff=0.5)
    own = [name for name in known if not name.startswith("__")]
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"existing topics: {', '.join(own[:10])}" if own else "it has none yet"


def _place(consumer: Any, partitions: Sequence[TopicPartition], start: Start) -> None:
    if isinstance(start, Beginning):
        consumer.seek_to_beginning(*partitions)
        return
    if isinstance(start, Latest):
        consumer.seek_to_end(*partitions)
        return
    for partition, offset in _last_offsets(consumer, partitions, start.count).items():
        consumer.seek(partition, offset)


def _last_offsets(consumer: Any, partitions: Sequence[TopicPartition], count: int) -> dict[TopicPartition, int]:
    """Return the first offset of each partition, so that together the newest `count` records by time are read.

    Only their time-stamps show which ones those are, so the last `count` records of each partition are compared.
    """
    begins: Mapping[TopicPartition, int] = consumer.beginning_offsets(list(partitions))
    ends: Mapping[TopicPartition, int] = consumer.end_offsets(list(partitions))
    found: list[tuple[int, int, TopicPartition]] = []
    for partition in partitions:
        consumer.seek(partition, max(begins[partition], ends[partition] - count))
    waiting = {partition for partition in partitions if ends[partition] > begins[partition]}
    while waiting:
        polled = consumer.poll(timeout_ms=int(REQUEST_SECONDS * 1000))
        if not polled:
            break
        for partition, records in polled.items():
            found += [(record.timestamp, record.offset, partition) for record in records]
            if records[-1].offset + 1 >= ends[partition]:
                waiting.discard(partition)
    starts = dict(ends)
    for _, offset, partition in sorted(found, key=lambda each: each[:2])[-count:] if count else ():
        starts[partition] = min(starts[partition], offset)
    return starts


def watched_records(consumer: Any, polled: Mapping[TopicPartition, Sequence[Any]]) -> Iterator[WatchedRecord]:
    """Yield the records of one poll in the order of time, across partitions."""
    records = sorted((record for records in polled.values() for record in records), key=lambda each: each.timestamp)
    for record in records:
        end = consumer.highwater(TopicPartition(record.topic, record.partition))
        yield WatchedRecord(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            time=time_of(record.timestamp),
            key=_text(record.key),
            headers={name: _text(value) for name, value in record.headers},
            value=_text(record.value),
            lag=max(0, (end or 0) - record.offset - 1),
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", errors="replace")
