"""The Replicas in manifests/shop, events as their workers read them, and the routes of a service that show copies."""

import json
from typing import Any
from uuid import UUID

import pytest
import yaml
from confluent_kafka import Message

from kompensa_consumer import Event, decode
from kompensa_participant import Service
from kompensa_participant.settings import Settings
from tests.support.documentation import ROOT


def schemas_of(topic: str) -> list[Any]:
    """The event schema of each Replica that reads a topic, as parameters of a test."""
    replicas = yaml.safe_load_all((ROOT / "manifests/shop/replicas.yaml").read_text(encoding="utf-8"))
    found = [replica for replica in replicas if topic in replica["spec"]["source"]["topics"]]
    return [pytest.param(replica["spec"]["eventSchema"], id=replica["metadata"]["name"]) for replica in found]


def event_of(topic: str, payload: dict[str, Any], *, key: UUID) -> Event:
    """The payload as the worker of a copy finds it in the topic."""
    read = decode(
        Message(
            topic=topic,
            partition=0,
            offset=0,
            key=str(key).encode(),
            value=json.dumps(payload).encode(),
            headers=[("event-type", topic.partition(".")[2].encode()), ("aggregate-version", b"1")],
            timestamp=(1, 1_700_000_000_000),
        )
    )
    assert isinstance(read, Event), read
    return read


def methods_below(service: Service, prefix: str) -> set[str]:
    """The methods of a service's routes whose path begins so."""
    described = service.app(Settings(database_url="postgresql://nowhere")).openapi()["paths"]
    return {method for path, operations in described.items() if path.startswith(prefix) for method in operations}
