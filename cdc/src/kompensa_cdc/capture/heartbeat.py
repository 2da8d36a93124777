"""A heartbeat: a message that is written into the database's WAL and must be seen in Kafka.

It takes the way of every event: slot, connector, producer, broker. It is a message and not a row, so that the
service's table stays the service's. Its topic is Debezium's for such messages, `<connector>.message`.
"""

import asyncio
import re
import time
from base64 import b64decode
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from kompensa_cdc.capture.errors import BrokerError
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.source import connected, one

PREFIX = "kompensa-delivery"
WAIT_SECONDS = 3.0
BROKER_SECONDS = 10.0
TOPIC_SETTINGS = {"cleanup.policy": "delete", "retention.ms": "3600000", "segment.ms": "3600000"}
_CONTENT = re.compile(r"content=([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, kw_only=True)
class Heartbeat:
    """The result of one heartbeat.

    Attributes
    ----------
    sent
        When it was sent, in seconds since the epoch by the clock of this process.
    at
        The same by the monotonic clock, which never jumps.
    position
        Its place in the WAL.
    delivered
        When the last heartbeat that is in Kafka was sent; 0.0 if there is none.
    seconds
        How long this one took; None if it did not come while we waited.
    """

    sent: float
    at: float
    position: int
    delivered: float
    seconds: float | None


def topic_of(outbox: Outbox) -> str:
    """The topic of the outbox's heartbeats."""
    return f"{outbox.connector}.message"


async def beat(capture: Database, bootstrap: str, outbox: Outbox) -> Heartbeat:
    """Send a heartbeat and wait for it, within a bound.

    Raises
    ------
    CaptureError
        If the database does not take it, or Kafka does not answer.
    """
    reader = _Reader(bootstrap, topic_of(outbox))
    try:
        await asyncio.to_thread(reader.open)
        # To the microsecond: what comes back must equal it.
        sent, started = round(time.time(), 6), time.monotonic()
        position = await _send(capture, outbox, sent)
        delivered = await asyncio.to_thread(reader.wait_for, sent)
    except KafkaException as error:
        raise BrokerError(
            f"the heartbeats of {outbox.connector} cannot be read from Kafka at {bootstrap} ({error.args[0].str()}): "
            "check that a broker is up"
        ) from None
    finally:
        await asyncio.to_thread(reader.close)
    taken = time.monotonic() - started if delivered == sent else None
    return Heartbeat(sent=sent, at=started, position=position, delivered=delivered, seconds=taken)


def sent_at(record: bytes) -> float:
    """When the heartbeat in this record was sent: Debezium's StringConverter prints a Struct."""
    found = _CONTENT.search(record.decode(errors="replace"))
    return float(b64decode(found[1])) if found else 0.0


async def _send(capture: Database, outbox: Outbox, sent: float) -> int:
    """In a transaction of its own: a message outside of one is not flushed until another session commits."""
    async with connected(capture, f"sending a heartbeat to {outbox.slot}") as connection:
        row = await one(
            connection,
            "SELECT pg_wal_lsn_diff(pg_logical_emit_message(true, %s, %s), '0/0')::bigint AS position",
            PREFIX,
            f"{sent:.6f}",
        )
    return int(row["position"]) if row else 0


class _Reader:
    """Reads the newest heartbeats; its methods block."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "kompensa-heartbeats",  # required, and not joined: partitions are assigned by hand
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 100,
                "log_level": 0,
            }
        )

    def open(self) -> None:
        """Begin with the newest heartbeat that is there."""
        partition = TopicPartition(self._topic, 0)
        low, high = self._consumer.get_watermark_offsets(partition, timeout=BROKER_SECONDS)
        self._consumer.assign([TopicPartition(self._topic, 0, max(low, high - 1))])

    def wait_for(self, sent: float) -> float:
        """The last heartbeat that has come: `sent`, if it comes while we wait."""
        last, deadline = 0.0, time.monotonic() + WAIT_SECONDS
        # Equality and not order: the clock may have been set back since the one before.
        while last != sent and (left := deadline - time.monotonic()) > 0:
            record = self._consumer.poll(left)
            if record is not None and record.error() is None:
                last = sent_at(record.value() or b"")
        return last

    def close(self) -> None:
        self._consumer.close()
