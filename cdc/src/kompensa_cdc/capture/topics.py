"""Topics made up front, so that partitions and retention are ours and not whatever auto-creation does."""

import asyncio
from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ declares no re-exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)

from kompensa_cdc.capture.errors import BrokerError
from kompensa_cdc.capture.outbox import Outbox

TIMEOUT_SECONDS = 10.0
PATIENCE_SECONDS = 15.0  # for an answer that never comes; the client's own time-out is to be first, it says more
MOST_COPIES = 3


async def ensure_topics(bootstrap: str, outbox: Outbox) -> None:
    """Create the outbox's topics where they lack; grow partitions and set retention where they differ.

    Partitions never shrink. When they grow, a key may move to another partition; consumers order by the aggregate's
    version, so that is safe.
    """
    if not outbox.topics:
        return
    admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 10_000, "log_level": 0})
    metadata = await _metadata(admin, bootstrap)
    present = {name: len(metadata.topics[name].partitions) for name in outbox.topics if name in metadata.topics}
    copies = min(MOST_COPIES, len(metadata.brokers))
    try:
        await _create(admin, outbox, [name for name in outbox.topics if name not in present], copies)
        await _grow(admin, {name: outbox.partitions for name, has in present.items() if has < outbox.partitions})
        await _retain(admin, outbox, present)
    except KafkaException as error:
        raise BrokerError(f"topics of {outbox.connector} on Kafka at {bootstrap}: {_text(error)}") from None
    except TimeoutError:
        raise BrokerError(
            f"topics of {outbox.connector} on Kafka at {bootstrap}: no answer within {PATIENCE_SECONDS:g} s; "
            "see whether a broker is overloaded or hangs"
        ) from None


async def _metadata(admin: AdminClient, bootstrap: str) -> Any:
    try:
        return await asyncio.to_thread(admin.list_topics, timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        raise BrokerError(
            f"Kafka at {bootstrap} does not answer ({_text(error)}): check the address and that a broker is up"
        ) from None


async def _create(admin: AdminClient, outbox: Outbox, names: list[str], copies: int) -> None:
    if not names:
        return
    topics = [
        NewTopic(name, num_partitions=outbox.partitions, replication_factor=copies, config=outbox.topic_settings)
        for name in names
    ]
    for future in admin.create_topics(topics, operation_timeout=TIMEOUT_SECONDS).values():
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


async def _grow(admin: AdminClient, wanted: dict[str, int]) -> None:
    if wanted:
        await _all(admin.create_partitions([NewPartitions(name, count) for name, count in wanted.items()]).values())


async def _retain(admin: AdminClient, outbox: Outbox, names: Iterable[str]) -> None:
    """Change retention only where it differs: each change is a record in the cluster's metadata log."""
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in names]
    if not resources:
        return
    retention = outbox.topic_settings["retention.ms"]
    configs = dict(zip(resources, await _all(admin.describe_configs(resources).values()), strict=True))
    changed = [
        ConfigResource(
            ConfigResource.Type.TOPIC,
            resource.name,
            incremental_configs=[ConfigEntry("retention.ms", retention, incremental_operation=AlterConfigOpType.SET)],
        )
        for resource, config in configs.items()
        if config["retention.ms"].value != retention
    ]
    if changed:
        await _all(admin.incremental_alter_configs(changed).values())


async def _all(futures: Iterable[Any]) -> list[Any]:
    return [await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE_SECONDS) for future in futures]


def _text(error: KafkaException) -> str:
    return str(error.args[0].str())
