"""Create an outbox's topics before their first record, so that partitions and retention are as it declares."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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
from kompensa_cdc.capture.heartbeat import TOPIC_SETTINGS, topic_of
from kompensa_cdc.capture.outbox import Outbox

TIMEOUT_SECONDS = 10.0
# For an answer that never comes; longer than the client's own time-out, whose error says more.
PATIENCE_SECONDS = 15.0
MOST_COPIES = 3


@dataclass(frozen=True, kw_only=True)
class TopicSpec:
    """The declared partitions and settings of a topic."""

    partitions: int
    settings: Mapping[str, str]


def topic_specs(outbox: Outbox) -> dict[str, TopicSpec]:
    """Return the topics of an outbox: one for each event type, and a small one for heartbeats."""
    events = {name: TopicSpec(partitions=outbox.partitions, settings=outbox.topic_settings) for name in outbox.topics}
    return {**events, topic_of(outbox): TopicSpec(partitions=1, settings=TOPIC_SETTINGS)}


async def missing_topics(bootstrap: str, outbox: Outbox) -> list[str]:
    """Return those topics of event types that do not exist."""
    metadata = await _metadata(_client(bootstrap), bootstrap)
    return [name for name in outbox.topics if name not in metadata.topics]


async def ensure_topics(bootstrap: str, outbox: Outbox) -> None:
    """Create the outbox's topics that are missing; grow partitions and correct settings that differ.

    Partitions never shrink. When they grow, a key may move to another partition; consumers order by the aggregate's
    version, so that is safe.
    """
    admin, specs = _client(bootstrap), topic_specs(outbox)
    metadata = await _metadata(admin, bootstrap)
    present = {name: len(metadata.topics[name].partitions) for name in specs if name in metadata.topics}
    copies = min(MOST_COPIES, len(metadata.brokers))
    try:
        await _create(admin, {name: spec for name, spec in specs.items() if name not in present}, copies)
        await _grow(
            admin, {name: specs[name].partitions for name, has in present.items() if has < specs[name].partitions}
        )
        await _correct(admin, {name: specs[name].settings for name in present})
    except KafkaException as error:
        raise BrokerError(f"topics of {outbox.connector} on Kafka at {bootstrap}: {_text(error)}") from None
    except TimeoutError:
        raise BrokerError(
            f"topics of {outbox.connector} on Kafka at {bootstrap}: no answer within {PATIENCE_SECONDS:g} s; "
            "see whether a broker is overloaded or hangs"
        ) from None


def _client(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": 10_000, "log_level": 0})


async def _metadata(admin: AdminClient, bootstrap: str) -> Any:
    try:
        return await asyncio.to_thread(admin.list_topics, timeout=TIMEOUT_SECONDS)
    except KafkaException as error:
        raise BrokerError(
            f"Kafka at {bootstrap} does not answer ({_text(error)}): check the address and that a broker is up"
        ) from None


async def _create(admin: AdminClient, specs: Mapping[str, TopicSpec], copies: int) -> None:
    if not specs:
        return
    topics = [
        NewTopic(name, num_partitions=spec.partitions, replication_factor=copies, config=dict(spec.settings))
        for name, spec in specs.items()
    ]
    for future in admin.create_topics(topics, operation_timeout=TIMEOUT_SECONDS).values():
        try:
            await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


async def _grow(admin: AdminClient, partitions: dict[str, int]) -> None:
    if partitions:
        new = [NewPartitions(name, count) for name, count in partitions.items()]
        await _all(admin.create_partitions(new).values())


async def _correct(admin: AdminClient, specs: Mapping[str, Mapping[str, str]]) -> None:
    """Change settings only if they differ: each change is a record in the cluster's metadata log."""
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in specs]
    if not resources:
        return
    described = await _all(admin.describe_configs(resources).values())
    changed = []
    for resource, present in zip(resources, described, strict=True):
        differing = [
            ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
            for setting, value in specs[resource.name].items()
            if present[setting].value != value
        ]
        if differing:
            changed.append(ConfigResource(ConfigResource.Type.TOPIC, resource.name, incremental_configs=differing))
    if changed:
        await _all(admin.incremental_alter_configs(changed).values())


async def _all(futures: Iterable[Any]) -> list[Any]:
    return [await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE_SECONDS) for future in futures]


def _text(error: KafkaException) -> str:
    return str(error.args[0].str())
