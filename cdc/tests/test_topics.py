"""A broker that takes a request and never answers it is reported as any other trouble with Kafka."""

from collections.abc import Mapping
from concurrent.futures import Future
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from kompensa_cdc.capture import outbox_from_object, topics
from kompensa_cdc.capture.errors import BrokerError

OUTBOX = outbox_from_object(
    "shop", "orders", {"table": "orders.outbox", "topicPrefix": "orders", "events": ["customer-created"]}
)
HAS_TWO = MappingProxyType({"orders.customer-created": SimpleNamespace(partitions=[0, 1])})


class SilentBroker:
    """A client whose every change waits forever; what is there already can still be asked for."""

    present: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def list_topics(self, timeout: float) -> Any:
        return SimpleNamespace(topics=self.present, brokers={1: None})

    def create_topics(self, wanted: list[Any], **_: Any) -> dict[str, Future[None]]:
        return {topic.topic: Future() for topic in wanted}

    def create_partitions(self, wanted: list[Any]) -> dict[str, Future[None]]:
        return {topic.topic: Future() for topic in wanted}


class SilentBrokerWithTopics(SilentBroker):
    present = HAS_TWO


@pytest.mark.parametrize("client", [SilentBroker, SilentBrokerWithTopics], ids=["topics are made", "topics grow"])
async def test_a_broker_that_never_answers_is_unusable(client: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "AdminClient", client)
    monkeypatch.setattr(topics, "PATIENCE_SECONDS", 0.01)

    with pytest.raises(BrokerError, match="topics of shop-orders on Kafka at kafka:9092: no answer") as told:
        await topics.ensure_topics("kafka:9092", OUTBOX)
    assert told.value.reason == "KafkaUnusable"


def test_the_clients_own_time_out_which_names_the_request_comes_first() -> None:
    assert topics.PATIENCE_SECONDS > topics.TIMEOUT_SECONDS
