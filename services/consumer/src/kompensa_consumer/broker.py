"""Settings and checks that depend on the broker: which group protocol it serves, and whether the topics exist."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ declares no re-exports
    AdminClient,
    ConfigResource,
)

from kompensa_consumer.offsets import SessionError

TIMEOUT_SECONDS = 10.0


class BrokerError(SessionError):
    """Kafka is not as the consumer needs it; the text names the address or topic, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """The topics that a consumer reads, and how much of them at once.

    Attributes
    ----------
    bootstrap
        Addresses of brokers, `host:port`, separated by commas.
    group
        The consumer group. Its members share the partitions.
    topics
        Names of topics.
    max_records
        The largest number of events in a batch.
    max_wait_seconds
        How long a batch may be gathered while the database is busy with the one before.
    needs_all_topics
        Whether nothing is read while a topic is missing. If not, the other topics are read until it is there.
    """

    bootstrap: str
    group: str
    topics: tuple[str, ...]
    max_records: int
    max_wait_seconds: float
    needs_all_topics: bool = True


def consumer_config(subscription: Subscription) -> dict[str, Any]:
    """The consumer's settings that do not depend on the broker's age."""
    return {
        "bootstrap.servers": subscription.bootstrap,
        "group.id": subscription.group,
        "client.id": subscription.group,
        # Offsets live in the consumer's database; they are committed to Kafka later, for tools that show the lag.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        # Reports the end of a partition even if a transaction marker, which is not a record, is the last thing in it.
        "enable.partition.eof": True,
        # Bounds of memory, and no second of idling after the local queue was full for a moment. A fetch is bounded as
        # it comes over the wire: compressed records may become many times as large here.
        "queued.min.messages": max(10_000, 2 * subscription.max_records),
        "queued.max.messages.kbytes": 8_192,
        "fetch.queue.backoff.ms": 10,
        "fetch.max.bytes": 1_048_576,
        "max.partition.fetch.bytes": 65_536,
        "socket.timeout.ms": 10_000,
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 2,
    }


def group_config(bootstrap: str) -> dict[str, Any]:
    """Return the settings of the group protocol: the broker's if it serves one (from 4.0), or else cooperative-sticky.

    With the broker's range assignor, a worker gets the same partition number of each topic. All events of one key then
    go to one worker.
    """
    if "consumer" in _protocols(bootstrap):
        return {"group.protocol": "consumer", "group.remote.assignor": "range"}
    return {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 20_000}


def missing_topics(bootstrap: str, topics: Iterable[str]) -> list[str]:
    """Return the topics that the broker does not have. Asking does not create them."""
    try:
        metadata = _admin(bootstrap).list_topics(timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        raise BrokerError(unreachable(bootstrap, error)) from None
    return [topic for topic in topics if topic not in metadata.topics]


def unreachable(bootstrap: str, error: KafkaException) -> str:
    return f"Kafka at {bootstrap} does not answer ({error.args[0].str()}): check the address and that a broker is up"


def _protocols(bootstrap: str) -> list[str]:
    """Return the rebalance protocols of one broker; none if it is too old to say, or if the login may not ask."""
    admin = _admin(bootstrap)
    try:
        brokers = admin.list_topics(timeout=TIMEOUT_SECONDS).brokers
        resource = ConfigResource(ConfigResource.Type.BROKER, str(next(iter(brokers))))
        (future,) = admin.describe_configs([resource], request_timeout=TIMEOUT_SECONDS).values()
        entry = future.result(TIMEOUT_SECONDS).get("group.coordinator.rebalance.protocols")
    except KafkaException as error:
        if error.args[0].retriable():
            raise BrokerError(unreachable(bootstrap, error)) from None
        return []
    return str(entry.value).split(",") if entry else []


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 10_000, "log_level": 0})
