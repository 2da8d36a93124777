"""An event table is captured as it is: a stored event is the message, in the order of its aggregate (S58)."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from kompensa_cdc.capture import outbox_from_object
from kompensa_cdc.capture.connect import Connect
from kompensa_dev.connect import ConnectWorker
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_eventstore import EventStore, NewEvent, Provenance, events_table

from .capture_source import Reader, Source, events_of
from .copies import eventually, query
from .test_capture_defects import execute, until_reason
from .test_capture_outbox import lose_slot

ORDERS = EventStore("Order", schema="orders")
INSERT = (
    "INSERT INTO orders.events (id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version,"
    " payload, occurred_at) SELECT gen_random_uuid(), '{type}', '{key}', version, '{event}', '1.0',"
    " jsonb_build_object(), '{time}' FROM unnest(ARRAY{versions}) version"
)
# Another shop's table: with words of SQL as names, a number for the version and no correlation.
OTHER_TABLE = """
CREATE TABLE orders.ledger (
  "end" uuid PRIMARY KEY, kind text NOT NULL, "order" text NOT NULL, "number" int NOT NULL, type text NOT NULL,
  schema text NOT NULL, data json NOT NULL, trace text, saga uuid, at timestamptz NOT NULL, because_of text);
GRANT SELECT ON orders.ledger TO "{capture}"
"""
OTHER_COLUMNS = {
    "id": "end",
    "aggregateType": "kind",
    "aggregateId": "order",
    "aggregateVersion": "number",
    "eventType": "type",
    "eventVersion": "schema",
    "payload": "data",
    "traceparent": "trace",
    "sagaId": "saga",
    "occurredAt": "at",
    "causationId": "because_of",
}


@pytest.fixture
async def source(
    postgres: PostgresServer, kafka: KafkaBroker, connect: ConnectWorker, database: Login
) -> AsyncIterator[Source]:
    """The event store's own table, in a database of its own."""
    capture = postgres.create_capture_role(database.database)
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA orders")
        connection.execute("SET search_path TO orders")
        connection.execute(events_table())
        connection.execute(f'GRANT USAGE ON SCHEMA orders TO "{capture.username}"')
        connection.execute(f'GRANT SELECT ON events TO "{capture.username}"')
    prefix = f"e{secrets.token_hex(3)}"
    spec = {
        "table": "orders.events",
        "topicPrefix": prefix,
        "route": "ByAggregateType",
        "aggregateTypes": ["Order"],
        "partitions": 3,
    }
    made = Source(outbox_from_object("shop", prefix, spec), database, capture, kafka, connect)
    yield made
    await made.remove()
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS orders CASCADE")


def insert(
    source: Source, *versions: int, type_: str = "Order", event: str = "CREATED", time: str = "2026-01-31"
) -> str:
    """Rows of a new aggregate, written in this order, which the event store would not do."""
    key = str(uuid4())
    execute(source, INSERT.format(type=type_, key=key, event=event, time=time, versions=list(versions)))
    return key


async def append(source: Source, order_id: UUID, *types: str, after: int = 0, **provenance: Any) -> None:
    async with await psycopg.AsyncConnection.connect(source.owner.url) as connection:
        events = [NewEvent(type=type_, data={"orderId": order_id, "note": None}) for type_ in types]
        stream = ORDERS.stream(order_id)
        await ORDERS.append(connection, stream, events, expected_version=after, provenance=Provenance(**provenance))


def versions_of(reader: Reader, key: object) -> list[int]:
    return [event.aggregate_version for event in events_of(reader.read(), key)]


async def test_a_stored_event_is_the_message_in_one_topic_in_the_order_of_its_aggregate(
    source: Source, reader: Reader
) -> None:
    await source.until_ready()
    order, other, saga = uuid4(), uuid4(), uuid4()
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await append(source, order, "ORDER_CREATED", saga_id=saga, correlation_id=saga, traceparent=trace)
    await append(source, other, "ORDER_CREATED", "ORDER_CANCELLED")
    await append(source, order, "PAYMENT_PROCESSED", "ORDER_SHIPPED", after=1, causation_id=other)

    events = events_of(reader.wait_for(5), order)
    assert [(event.aggregate_version, event.type) for event in events] == [
        (1, "ORDER_CREATED"),
        (2, "PAYMENT_PROCESSED"),
        (3, "ORDER_SHIPPED"),
    ]
    assert {event.topic for event in events} == {f"{source.outbox.topic_prefix}.Order"}
    assert [event.aggregate_version for event in events_of(reader.records, other)] == [1, 2]
    first, _, last = events
    (row,) = query(source.owner.url, f"SELECT id, occurred_at FROM orders.events WHERE correlation_id = '{saga}'")
    assert (first.version, first.payload) == ("1.0", {"orderId": str(order), "note": None})
    assert first.occurred_at == row["occurred_at"]
    assert (first.headers["id"], first.headers["aggregate-type"]) == (str(row["id"]), "Order")
    assert (first.headers["saga-id"], first.headers["correlation-id"]) == (str(saga), str(saga))
    assert (first.headers["traceparent"], last.headers["causation-id"]) == (trace, str(other))
    # The name of the actor stays with the owner.
    assert "actor" not in first.headers


async def test_delivery_is_proved_without_an_event_in_the_table_or_in_its_topic(source: Source, reader: Reader) -> None:
    first = await source.until_ready()
    later = await source.until(lambda status: status.ready and status.delivery.delivered > first.delivery.delivered)
    assert 0 < later.delivery.seconds < 30
    assert query(source.owner.url, "SELECT FROM orders.events") == []
    order = uuid4()
    await append(source, order, "ORDER_CREATED")
    assert len(reader.wait_for(1)) == len(events_of(reader.records, order)) == 1


async def test_events_from_before_the_capture_come_in_the_order_of_their_aggregate(
    source: Source, reader: Reader
) -> None:
    order = insert(source, 3, 1, 2)
    await source.until_ready()
    eventually(lambda: versions_of(reader, order), lambda versions: versions == [1, 2, 3])


@pytest.mark.parametrize("defect", ["publication", "topic", "slot"])
async def test_after_a_defect_all_events_are_published_again_in_order(
    source: Source, reader: Reader, postgres: PostgresServer, defect: str
) -> None:
    order = insert(source, 3, 1, 2)
    await source.until_ready()
    reader.wait_for(3)
    if defect == "publication":
        execute(source, f"ALTER PUBLICATION {source.outbox.publication} DROP TABLE orders.events")
    elif defect == "topic":
        admin = AdminClient({"bootstrap.servers": source.kafka.bootstrap})
        admin.delete_topics(list(source.outbox.topics))[source.outbox.topics[0]].result(10)
    else:
        lose_slot(postgres, source)
    missed = insert(source, 2, 1)
    await source.until(lambda status: status.reason in ("PublicationChanged", "TopicDeleted", "SlotLost"))
    await source.until_ready()
    again = Reader(source.kafka.bootstrap, source.outbox)
    try:
        eventually(lambda: versions_of(again, order)[-3:], lambda versions: versions == [1, 2, 3])
        eventually(lambda: versions_of(again, missed)[-2:], lambda versions: versions == [1, 2])
    finally:
        again.consumer.close()


@pytest.mark.parametrize(
    ("spoilt", "word"),
    [
        ({"type_": "an order"}, "an order"),
        ({"event": ""}, "event_type is empty"),
        ({"time": "infinity"}, "infinite"),
    ],
    ids=["aggregate type", "event type", "time"],
)
async def test_an_event_that_cannot_be_published_is_not_to_be_deleted(
    source: Source, reader: Reader, spoilt: dict[str, str], word: str
) -> None:
    await source.until_ready()
    key = insert(source, 1, **spoilt)
    status = await until_reason(source, "RowUnpublishable")
    assert word in status.message
    assert "DELETE" not in status.message
    later = insert(source, 1)
    eventually(reader.received, lambda keys: later in keys)
    # As the message says.
    execute(
        source,
        "ALTER TABLE orders.events DISABLE TRIGGER append_only",
        "UPDATE orders.events SET aggregate_type = 'Order', event_type = 'CREATED', occurred_at = '2026-01-31'"
        f" WHERE aggregate_id = '{key}'",
        "ALTER TABLE orders.events ENABLE TRIGGER append_only",
    )
    source.outbox = replace(source.outbox, max_event_bytes=source.outbox.max_event_bytes + 1)
    await until_reason(source, "PublicationChanged")
    await source.until_ready()
    eventually(lambda: versions_of(reader, key), lambda versions: versions == [1])


async def test_an_event_that_is_too_large_is_published_once_the_limit_is_raised(source: Source, reader: Reader) -> None:
    source.outbox = replace(source.outbox, max_event_bytes=1024)
    await source.until_ready()
    order = uuid4()
    async with await psycopg.AsyncConnection.connect(source.owner.url) as connection:
        large = NewEvent(type="ORDER_CREATED", data={"note": "x" * 2000})
        await ORDERS.append(connection, ORDERS.stream(order), [large], expected_version=0)
    status = await until_reason(source, "RecordTooLarge")
    assert "DELETE" not in status.message
    source.outbox = replace(source.outbox, max_event_bytes=4096)
    await until_reason(source, "PublicationChanged")
    await source.until_ready()
    eventually(lambda: versions_of(reader, order), lambda versions: versions == [1])


async def test_a_table_with_other_names_for_its_columns_is_captured(source: Source) -> None:
    execute(source, *OTHER_TABLE.split(";"))
    prefix = source.outbox.topic_prefix
    spec = {
        "table": "orders.ledger",
        "topicPrefix": prefix,
        "route": "ByAggregateType",
        "aggregateTypes": ["Invoice"],
        "columns": OTHER_COLUMNS,
    }
    source.outbox = outbox_from_object("shop", prefix, spec)
    write = (
        "INSERT INTO orders.ledger VALUES ('{}', 'Invoice', 'I-1', {}, 'ISSUED', '1.0', json_build_object('a', 'b'),"
        " NULL, NULL, now(), 'I-0')"
    )
    execute(source, write.format(uuid4(), 1))
    await source.until_ready()
    execute(source, write.format(uuid4(), 2))
    reader = Reader(source.kafka.bootstrap, source.outbox)
    try:
        first, second = events_of(reader.wait_for(2), "I-1")
    finally:
        reader.consumer.close()
    assert (first.aggregate_version, second.aggregate_version) == (1, 2)
    assert (second.type, second.payload, second.headers["causation-id"]) == ("ISSUED", {"a": "b"}, "I-0")
    assert second.headers["aggregate-type"] == "Invoice"


async def test_a_migration_may_add_a_column_of_a_header_while_older_rows_wait(source: Source, reader: Reader) -> None:
    execute(source, "ALTER TABLE orders.events DROP COLUMN causation_id")
    await source.until_ready()
    source.connect.kill()
    before = insert(source, 1)
    execute(source, "ALTER TABLE orders.events ADD COLUMN causation_id uuid")
    cause = uuid4()
    after = str(uuid4())
    execute(
        source,
        "INSERT INTO orders.events (id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version,"
        f" payload, occurred_at, causation_id) VALUES ('{uuid4()}', 'Order', '{after}', 1, 'CREATED', '1.0',"
        f" jsonb_build_object(), now(), '{cause}')",
    )
    source.connect.start()
    await source.until_ready()
    eventually(reader.received, lambda keys: {before, after} <= keys)
    (last,) = {event.headers["id"]: event for event in events_of(reader.records, after)}.values()
    assert last.headers["causation-id"] == str(cause)
    async with Connect(source.connect.url) as rest:
        config = await rest.config(source.outbox.connector)
    assert config is not None
    assert "causation_id" in config["transforms.outbox.table.fields.additional.placement"]


async def test_an_outbox_may_be_routed_by_aggregate_type_too(source: Source, reader: Reader) -> None:
    """The route does not say whether rows may be deleted; the triggers of the table do."""
    execute(source, "DROP TRIGGER append_only ON orders.events")
    await source.until_ready()
    key = insert(source, 1, type_="an order")
    status = await until_reason(source, "RowUnpublishable")
    (row,) = query(source.owner.url, f"SELECT id FROM orders.events WHERE aggregate_id = '{key}'")
    assert f"DELETE FROM orders.events WHERE id = '{row['id']}'" in status.message
    execute(source, f"DELETE FROM orders.events WHERE id = '{row['id']}'")
    assert (await source.until_ready()).reason == "Capturing"
