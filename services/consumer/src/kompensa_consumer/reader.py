"""Read from Kafka, in a thread of its own: decode, form batches, hand them over, and never stop polling.

This is a thread because the fast calls of confluent-kafka block. Batches go through a bounded queue to the event loop.
While the queue is full, the partitions are paused and polling goes on, so that a slow database does not look to the
consumer group like a dead worker.

A partition is claimed in the database before it is read (see offsets.py); an unclaimed partition is not read.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from kompensa_consumer.batch import Batch, Item
from kompensa_consumer.broker import BrokerError
from kompensa_consumer.gather import gather
from kompensa_consumer.offsets import Advance, Claim, Partition
from kompensa_consumer.progress import Progress

CLAIM_SECONDS = 15.0
DRAIN_SECONDS = 10.0
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 1.0
LAG_EVERY_SECONDS = 1.0
COMMIT_EVERY_SECONDS = 5.0

ClaimAll = Callable[[Sequence[Partition]], Coroutine[Any, Any, dict[Partition, Claim]]]
Result = TypeVar("Result")


class BatchReader(Generic[Item]):
    """One Kafka consumer, from joining its group to leaving it. Call `run` in a thread; batches come out of `queue`."""

    def __init__(
        self,
        *,
        consumer_config: dict[str, Any],
        topics: Sequence[str],
        awaited: Sequence[str] = (),
        max_records: int,
        max_wait_seconds: float,
        prepare: Callable[[Message], Item],
        claim: ClaimAll,
        progress: Progress,
    ) -> None:
        self.queue: asyncio.Queue[Batch[Item]] = asyncio.Queue(maxsize=1)
        self._loop = asyncio.get_running_loop()
        self._config = consumer_config
        self._topics = list(topics)
        self._awaited = list(awaited)
        self._max_records = max_records
        self._max_wait = max_wait_seconds
        self._prepare = prepare
        self._claim = claim
        self._progress = progress
        self._stopping = threading.Event()
        self._claims: dict[Partition, Claim] = {}
        self._left: list[Message] = []
        self._failure: Exception | None = None
        self._drain = True
        self._due: dict[str, float] = {}

    def stop(self, *, drain: bool) -> None:
        """End `run` soon. With `drain`, it first waits, within a bound, until the batches in the queue are written."""
        self._drain = drain
        self._stopping.set()

    def run(self) -> None:
        """Read until `stop`, then leave the consumer group.

        Raises
        ------
        KafkaException
            For an error that the client cannot recover from.
        BrokerError
            If a topic was deleted.
        Exception
            Any error of the claim.
        """
        consumer = Consumer({**self._config, "error_cb": self._on_error})
        try:
            consumer.subscribe(
                self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
            self._progress.reading = True
            while not self._stopping.is_set():
                self._turn(consumer)
        finally:
            self._progress.reading = False
            self._progress.release()
            consumer.close()

    def _turn(self, consumer: Consumer) -> None:
        batch = self._batch(consumer, self._read(consumer))
        if self._failure is not None:
            raise self._failure
        if batch.moves:
            self._hand_over(consumer, batch)
        if self._is_due("lag", LAG_EVERY_SECONDS):
            self._measure_lag(consumer, cached=True)
        if self._is_due("commit", COMMIT_EVERY_SECONDS):
            self._commit_to_kafka(consumer)
            self._look_for_topics(consumer)

    def _read(self, consumer: Consumer) -> list[Message]:
        """Wait for one record, then take those that have arrived too; wait for more only while the database is busy."""
        self._progress.polled_at = time.monotonic()
        left, self._left = self._left, []
        return gather(
            consumer.poll,
            left,
            max_records=self._max_records,
            idle_seconds=POLL_SECONDS,
            gather_seconds=0.0 if self.queue.empty() else self._max_wait,
        )

    def _batch(self, consumer: Consumer, records: Iterable[Message]) -> Batch[Item]:
        items: list[Item] = []
        ends: dict[Partition, list[int]] = {}  # next offset, records
        for record in records:
            error = record.error()
            at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
            if error is not None and not at_end:
                self._on_error(error)
                continue
            partition = (record.topic() or "", record.partition() or 0)
            if partition not in self._claims:
                continue  # revoked after this record was polled; the new owner reads it again
            offset = record.offset() or 0
            end = ends.setdefault(partition, [self._claims[partition].next_offset, 0])
            if offset != end[0]:
                self._note_gap(consumer, partition, expected=end[0], offset=offset)
            if at_end:
                # Move past the last record: transaction markers follow it, or the topic has dropped records.
                end[0] = max(end[0], offset)
                continue
            items.append(self._prepare(record))
            end[0] = offset + 1
            end[1] += 1
        moved = {name: end for name, end in ends.items() if end[1] or end[0] > self._claims[name].next_offset}
        return Batch(tuple(items), tuple(self._advance(partition, *end) for partition, end in moved.items()))

    def _advance(self, partition: Partition, next_offset: int, records: int) -> Advance:
        claim = self._claims[partition]
        self._claims[partition] = Claim(next_offset=next_offset, epoch=claim.epoch)
        return Advance(
            topic=partition[0],
            partition=partition[1],
            start=claim.next_offset,
            next_offset=next_offset,
            epoch=claim.epoch,
            records=records,
        )

    def _hand_over(self, consumer: Consumer, batch: Batch[Item]) -> None:
        """Put the batch into the queue; while the queue is full, pause the partitions and poll."""
        handed = asyncio.run_coroutine_threadsafe(self.queue.put(batch), self._loop)
        patience = PATIENCE_SECONDS
        is_paused = False
        while not self._stopping.is_set() and self._failure is None:
            try:
                handed.result(patience)
                break
            except TimeoutError:
                consumer.pause(consumer.assignment())
                is_paused, patience = True, 0.0
            self._progress.polled_at = time.monotonic()
            record = consumer.poll(POLL_SECONDS)
            if record is not None:
                self._left.append(record)
            if self._is_due("lag", COMMIT_EVERY_SECONDS):
                self._measure_lag(consumer, cached=False)
        else:
            handed.cancel()
        if is_paused:
            consumer.resume(consumer.assignment())

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        wanted = [(each.topic, each.partition) for each in partitions]
        try:
            claims = self._from_loop(self._claim(wanted), CLAIM_SECONDS) if wanted else {}
        except Exception as error:
            # run() raises it: the client would only print an exception in a callback.
            self._failure = error
            return
        self._claims.update(claims)
        self._progress.assign(claims)
        consumer.incremental_assign(
            [TopicPartition(topic, number, claim.next_offset) for (topic, number), claim in claims.items()]
        )
        # At once: a session that fails at its first batch would otherwise never learn the lag.
        self._measure_lag(consumer, cached=False)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Wait until the batches in the queue are written, so that the next owner starts after them. If that takes
        # too long, the next owner's epoch fences them off, and it reads them again: slower, never wrong.
        try:
            if self._drain:
                self._from_loop(self.queue.join(), DRAIN_SECONDS)
        except TimeoutError:
            self._progress.note(
                "partitions were revoked before the last batch was written; their new owner reads it again"
            )
        self._progress.revoke(_names(partitions))
        self._release(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._progress.release(_names(partitions))
        self._release(consumer, partitions)

    def _release(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = _names(partitions)
        self._claims = {partition: claim for partition, claim in self._claims.items() if partition not in gone}
        consumer.incremental_unassign(partitions)

    def _from_loop(self, work: Coroutine[Any, Any, Result], timeout: float) -> Result:
        """Run a coroutine in the event loop and wait for it here, within a bound."""
        bounded = asyncio.wait_for(work, timeout)
        return asyncio.run_coroutine_threadsafe(bounded, self._loop).result(timeout + 1)

    def _note_gap(self, consumer: Consumer, partition: Partition, *, expected: int, offset: int) -> None:
        name = f"{partition[0]}/{partition[1]}"
        if offset < expected:
            self._progress.note(
                f"{name} ends before offset {expected}: the topic was recreated and is read from its start"
            )
        elif offset > expected and (first := self._first(consumer, partition, offset)) > expected:
            self._progress.note(
                f"{name}: records {expected} to {first - 1} left the topic before they were applied; "
                "compare with their owner, and raise the Outbox's retention"
            )

    def _first(self, consumer: Consumer, partition: Partition, offset: int) -> int:
        """Return the topic's first offset, at most `offset`. A later gap is a transaction marker, not a lost record."""
        try:
            watermarks = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=2.0)
        except KafkaException as error:
            self._on_error(error.args[0])
            return offset
        return offset if watermarks is None else min(watermarks[0], offset)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failure = KafkaException(error)
        self._progress.report_problem("kafka", f"Kafka at {self._config['bootstrap.servers']}: {error.str()}")

    def _measure_lag(self, consumer: Consumer, *, cached: bool) -> None:
        """Look up the ends of the topics. While Kafka is in trouble, this is also how the end of that is noticed."""
        ask = not cached or "kafka" in self._progress.problems
        ends: dict[Partition, int] = {}
        try:
            for topic, number in self._claims:
                at = TopicPartition(topic, number)
                watermarks = (
                    consumer.get_watermark_offsets(at, timeout=2.0)
                    if ask
                    else consumer.get_watermark_offsets(at, cached=True)
                )
                if watermarks is not None and watermarks[1] >= 0:
                    ends[topic, number] = watermarks[1]
            if ask and not ends:
                consumer.list_topics(self._topics[0], timeout=2.0)
        except KafkaException as error:
            self._on_error(error.args[0])
            return
        if ask:
            self._progress.clear_problem("kafka")
        self._progress.ends(ends)

    def _commit_to_kafka(self, consumer: Consumer) -> None:
        """Commit the database's offsets to Kafka. No worker reads on from there, but tools that show the lag do."""
        offsets = [
            TopicPartition(topic, number, progress.next_offset)
            for (topic, number), progress in self._progress.partitions.items()
            if (topic, number) in self._claims
        ]
        if not offsets:
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=True)
        except KafkaException as error:
            self._on_error(error.args[0])

    def _look_for_topics(self, consumer: Consumer) -> None:
        """End `run` if a topic was deleted, or if a missing one was created: the next session knows.

        When a topic is deleted, Kafka just revokes its partitions. Only topics without a partition here are looked up.
        That is usual when there are more workers than partitions.
        """
        held = {topic for topic, _ in self._claims}
        without = [topic for topic in self._topics if topic not in held]
        if not without and not self._awaited:
            return
        try:
            there = consumer.list_topics(timeout=2.0).topics
        except KafkaException as error:
            self._on_error(error.args[0])
            return
        if gone := [topic for topic in without if topic not in there]:
            address = self._config["bootstrap.servers"]
            self._failure = BrokerError(f"Kafka at {address} has no topic {', '.join(gone)} any more")
        if any(topic in there for topic in self._awaited):
            self._stopping.set()

    def _is_due(self, what: str, every: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every
        return True


def _names(partitions: Iterable[TopicPartition]) -> set[Partition]:
    return {(each.topic, each.partition) for each in partitions}
