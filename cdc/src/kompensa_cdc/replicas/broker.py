"""What a worker must know of the broker before it reads: how groups work there, and whether the topics exist."""

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ declares no re-exports
    AdminClient,
    ConfigResource,
)

from kompensa_cdc.replicas.spec import ReplicaSpec

TIMEOUT_SECONDS = 10.0


class BrokerError(Exception):
    """Kafka is not as a replica needs it; the text names address or topic and what to do."""


def consumer_config(bootstrap: str, spec: ReplicaSpec) -> dict[str, Any]:
    """The consumer's settings that do not depend on the broker's age."""
    return {
        "bootstrap.servers": bootstrap,
        "group.id": spec.group,
        "client.id": spec.group,
        # Offsets live in the target database; Kafka's are told later, for lag tools.
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        # How it is known that nothing waits where a topic ends in a transaction's marker, which is no record.
        "enable.partition.eof": True,
        # Bounds of memory; and no second of idling whenever the local queue was full for a moment. A fetch is bounded
        # as it comes over the wire, and compressed records may be many times as large once they are here.
        "queued.min.messages": max(10_000, 2 * spec.max_records),
        "queued.max.messages.kbytes": 8_192,
        "fetch.queue.backoff.ms": 10,
        "fetch.max.bytes": 1_048_576,
        "max.partition.fetch.bytes": 65_536,
        "socket.timeout.ms": 10_000,
        "reconnect.backoff.max.ms": 2_000,
        "log_level": 2,
    }


def group_config(bootstrap: str) -> dict[str, Any]:
    """Settings of the group protocol: the broker-side one where it is served (4.0 on), else cooperative-sticky.

    With the broker's range assignor a worker gets the same partition number of each topic, so one key's events of all
    topics come to one worker.
    """
    if "consumer" in _protocols(bootstrap):
        return {"group.protocol": "consumer", "group.remote.assignor": "range"}
    return {"partition.assignment.strategy": "cooperative-sticky", "session.timeout.ms": 20_000}


def missing_topics(bootstrap: str, topics: Iterable[str]) -> list[str]:
    """Return those of `topics` that the broker does not have (and do not make them by asking)."""
    try:
        metadata = _admin(bootstrap).list_topics(timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        raise BrokerError(unreachable(bootstrap, error)) from None
    return [topic for topic in topics if topic not in metadata.topics]


def unreachable(bootstrap: str, error: KafkaException) -> str:
    return f"Kafka at {bootstrap} does not answer ({error.args[0].str()}): check the address and that a broker is up"


def _protocols(bootstrap: str) -> list[str]:
    """The rebalance protocols of any one broker; none if it is too old to say or we may not ask."""
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
