"""An outbox in a database of its own, what keeps it captured, and a consumer of its topics."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Message

from kompensa_cdc.capture import (
    Database,
    Directory,
    Leftover,
    Outbox,
    OutboxStatus,
    outbox_from_object,
    reconcile_outbox,
    remembered,
    remove_outbox,
)
from kompensa_consumer import Event, decode
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login, PostgresServer

from .copies import CREATED, DELETED, UPDATED, eventually
from .outboxes import OUTBOX

PARTITIONED = """
DROP TABLE orders.outbox;
CREATE TABLE orders.outbox (
  id uuid DEFAULT gen_random_uuid(), aggregate_type text NOT NULL, aggregate_id uuid NOT NULL,
  aggregate_version bigint NOT NULL, event_type text NOT NULL, event_version text NOT NULL, payload jsonb,
  traceparent text, saga_id uuid, occurred_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE TABLE orders.outbox_all PARTITION OF orders.outbox DEFAULT;
"""


def database_of(login: Login) -> Database:
    return Database(
        host=login.host,
        port=login.port,
        database=login.database,
        username=login.username,
        password=login.password,
    )


@dataclass
class Source:
    """An outbox in a database of its own, and everything reconciling it needs."""

    outbox: Outbox
    owner: Login
    capture: Login
    kafka: KafkaBroker
    connect: ConnectWorker
    status: OutboxStatus | None = None
    reasons: list[str] = field(default_factory=list)

    async def reconcile(self, **other: Any) -> OutboxStatus:
        self.connect.write_login(self.outbox.connector, username=self.capture.username, password=self.capture.password)
        arguments: dict[str, Any] = {
            "owner": database_of(self.owner),
            "capture": database_of(self.capture),
            "credentials": Directory(path=str(self.connect.credentials), key=self.outbox.connector),
            "connect_url": self.connect.url,
            "bootstrap": self.kafka.bootstrap,
            "previous": self.status,
        }
        self.status = await reconcile_outbox(self.outbox, **(arguments | other))
        self.reasons.append(self.status.reason)
        return self.status

    def forget(self) -> None:
        """Know only what the object's status says, as an operator that starts again."""
        if self.status is not None:
            self.status = remembered(self.outbox, self.status.as_status())

    async def until_ready(self) -> OutboxStatus:
        return await self.until(lambda status: status.ready)

    async def until(self, is_right: Callable[[OutboxStatus], bool], *, seconds: float = 90) -> OutboxStatus:
        """Reconcile as the operator does, again and again, until the status is right."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    status = await self.reconcile()
                    if is_right(status):
                        return status
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise AssertionError(f"waited {seconds:g} s for another status than {self.status}") from None

    async def remove(self) -> list[Leftover]:
        return await remove_outbox(
            self.outbox, owner=database_of(self.owner), capture=database_of(self.capture), connect_url=self.connect.url
        )

    def write(self, key: str, version: int, kind: str, payload: Mapping[str, Any] | None, **columns: Any) -> None:
        with psycopg.connect(self.owner.url) as connection:
            connection.execute(
                """INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type,
                                              event_version, payload, traceparent)
                   VALUES ('customer', %s, %s, %s, '1.0', %s, %s)""",
                (key, version, kind, None if payload is None else json.dumps(payload), columns.get("traceparent")),
            )


@pytest.fixture
async def source(
    postgres: PostgresServer, kafka: KafkaBroker, connect: ConnectWorker, database: Login
) -> AsyncIterator[Source]:
    capture = postgres.create_capture_role(database.database)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(OUTBOX)
        connection.execute(f'GRANT USAGE ON SCHEMA orders TO "{capture.username}"')
        connection.execute(f'GRANT SELECT ON orders.outbox TO "{capture.username}"')
    prefix = f"c{secrets.token_hex(3)}"
    spec = {
        "table": "orders.outbox",
        "topicPrefix": prefix,
        "events": [CREATED, UPDATED, DELETED],
        "partitions": 2,
        "retention": "3d",
    }
    made = Source(outbox_from_object("shop", prefix, spec), database, capture, kafka, connect)
    yield made
    await made.remove()
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS orders CASCADE")


@pytest.fixture
def reader(kafka: KafkaBroker, source: Source) -> Iterator["Reader"]:
    reading = Reader(kafka.bootstrap, source.outbox)
    yield reading
    reading.consumer.close()


class Reader:
    """Everything that comes into the outbox's topics."""

    def __init__(self, bootstrap: str, outbox: Outbox) -> None:
        self.consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": secrets.token_hex(4),
                "auto.offset.reset": "earliest",
                "topic.metadata.refresh.interval.ms": 500,
            }
        )
        self.consumer.subscribe(list(outbox.topics))
        self.records: list[Message] = []

    def read(self) -> list[Message]:
        record = self.consumer.poll(0.1)
        while record is not None:
            if record.error() is None:
                self.records.append(record)
            record = self.consumer.poll(0)
        return self.records

    def wait_for(self, count: int) -> list[Message]:
        return eventually(self.read, lambda records: len(records) >= count)

    def received(self) -> set[str]:
        return {key for _, key in self.places()}

    def places(self) -> set[tuple[str, str]]:
        """Topic and key of the received records. When a topic appears, the consumer may read some of them again."""
        return {(record.topic() or "", (record.key() or b"").decode()) for record in self.read()}


def headers_of(record: Message) -> dict[str, str | None]:
    headers = record.headers() or []
    pairs = headers.items() if isinstance(headers, dict) else headers
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in pairs}


def events_of(records: list[Message], key: object) -> list[Event]:
    """The events among the records that have this key."""
    decoded = [decode(record) for record in records]
    return [event for event in decoded if isinstance(event, Event) and event.key == str(key)]
