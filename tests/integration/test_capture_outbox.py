"""Capture end to end: from a committed outbox row to a record in Kafka, through a real Debezium, and back to health."""

import json
import uuid
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]  # declares no re-exports

from kompensa_cdc.capture import (
    OutboxStatus,
    captured_database,
    remembered,
    remove_outbox,
)
from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.delivery import Delivery
from kompensa_cdc.capture.unpublishable import Search
from kompensa_dev.postgres import PostgresServer

from .capture_source import PARTITIONED, Reader, Source, database_of, headers_of
from .copies import CREATED, DELETED, eventually, query


async def test_a_committed_row_becomes_a_record_with_topic_key_and_headers(source: Source, reader: Reader) -> None:
    status = await source.until_ready()
    key = str(uuid.uuid4())
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    source.write(key, 1, CREATED, {"email": "ana@example.com", "phone": None, "tags": []}, traceparent=trace)
    source.write(key, 2, DELETED, None)
    records = {record.topic(): record for record in reader.wait_for(2)}

    created = records[f"{source.outbox.topic_prefix}.{CREATED}"]
    assert created.key() == key.encode()
    # Nulls and empty lists survive: the text goes through untouched.
    assert json.loads(created.value() or b"") == {"email": "ana@example.com", "phone": None, "tags": []}
    headers = headers_of(created)
    uuid.UUID(headers["id"])
    assert (headers["event-type"], headers["event-version"], headers["aggregate-version"]) == (CREATED, "1.0", "1")
    assert headers["traceparent"] == trace
    assert (headers["occurred-at"] or "").endswith("Z")
    deleted = records[f"{source.outbox.topic_prefix}.{DELETED}"]
    assert deleted.value() is None
    assert headers_of(deleted)["aggregate-version"] == "2"
    assert status.reason == "Capturing"
    assert status.as_status()["connectorState"] == "RUNNING"


def lasting(status: OutboxStatus) -> OutboxStatus:
    """Without what each pass measures."""
    return replace(status, lag_bytes=0, delivery=Delivery(), search=Search())


async def test_reconciling_again_changes_nothing(source: Source) -> None:
    first = await source.until_ready()
    slots = "SELECT slot_name, plugin FROM pg_replication_slots WHERE database = current_database()"
    before = query(source.owner.url, slots)
    second = await source.reconcile()

    assert second.ready
    assert lasting(second) == lasting(first)
    assert query(source.owner.url, slots) == before
    assert [row["slot_name"] for row in before] == [source.outbox.slot]


async def test_rows_written_before_the_first_reconciliation_are_published_too(source: Source, reader: Reader) -> None:
    early = str(uuid.uuid4())
    source.write(early, 1, CREATED, {"email": "early@example.com"})
    await source.until_ready()

    eventually(reader.received, lambda keys: early in keys)


@pytest.mark.parametrize("former", [False, True], ids=["new", "with a publication of a former version"])
async def test_a_partitioned_outbox_is_published_under_its_own_name(
    source: Source, reader: Reader, former: bool
) -> None:
    with psycopg.connect(source.owner.url, autocommit=True) as connection:
        connection.execute(PARTITIONED)
        connection.execute(f'GRANT SELECT ON orders.outbox TO "{source.capture.username}"')
        if former:
            connection.execute(
                f"CREATE PUBLICATION {source.outbox.publication} FOR TABLE orders.outbox WITH (publish = 'insert')"
            )
    before, after = str(uuid.uuid4()), str(uuid.uuid4())
    source.write(before, 1, CREATED, {})
    await source.until_ready()
    source.write(after, 1, CREATED, {})
    eventually(reader.received, lambda keys: keys == {before, after})


async def test_an_event_of_a_type_that_is_not_declared_is_published_to_a_topic_with_the_same_settings(
    source: Source, reader: Reader
) -> None:
    await source.until_ready()
    undeclared = f"{source.outbox.topic_prefix}.customer-archived"
    reader.consumer.subscribe([*source.outbox.topics, undeclared])
    key, later = str(uuid.uuid4()), str(uuid.uuid4())
    source.write(key, 1, "customer-archived", {"email": "ana@example.com"})
    source.write(later, 1, CREATED, {"email": "bia@example.com"})

    eventually(reader.places, lambda places: places == {(undeclared, key), (source.outbox.topics[0], later)})
    assert settings_of(source, undeclared) == settings_of(source, source.outbox.topics[0])
    assert (await source.reconcile()).reason == "Capturing"


def settings_of(source: Source, topic: str) -> dict[str, Any]:
    """The settings of a topic that an Outbox decides."""
    admin = AdminClient({"bootstrap.servers": source.kafka.bootstrap})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    (described,) = admin.describe_configs([resource]).values()
    config = described.result(10)
    partitions = len(admin.list_topics(topic, timeout=10).topics[topic].partitions)
    return {"partitions": partitions, **{name: config[name].value for name in ("cleanup.policy", "retention.ms")}}


async def test_a_killed_connect_loses_nothing(source: Source, reader: Reader) -> None:
    await source.until_ready()
    keys = [str(uuid.uuid4()) for _ in range(60)]
    for number, key in enumerate(keys):
        source.write(key, 1, CREATED, {"email": f"{number}@example.com"})
        if number == 20:
            reader.wait_for(10)
            source.connect.kill()
        if number == 40:
            source.connect.start()

    eventually(reader.received, lambda seen: seen >= set(keys))
    assert (await source.until_ready()).connector_state == "RUNNING"


async def test_a_lost_slot_is_reported_and_the_rows_of_the_table_are_published_again(
    source: Source, reader: Reader, postgres: PostgresServer
) -> None:
    await source.until_ready()
    before = str(uuid.uuid4())
    source.write(before, 1, CREATED, {"email": "before@example.com"})
    reader.wait_for(1)
    lose_slot(postgres, source)
    missed = str(uuid.uuid4())
    source.write(missed, 1, CREATED, {"email": "missed@example.com"})
    status = await source.until_ready()

    eventually(reader.received, lambda keys: missed in keys)
    assert status.reason == "SlotRecreated"
    assert f"slot {source.outbox.slot} was gone" in status.last_error
    # Neither a later pass nor an operator that starts again forgets it.
    assert (await source.reconcile()).last_error == status.last_error
    source.status = remembered(source.outbox, status.as_status())
    assert (await source.reconcile()).last_error == status.last_error


async def test_a_lost_slot_is_remembered_if_its_repair_fails_or_the_operator_dies(
    source: Source, postgres: PostgresServer
) -> None:
    await source.until_ready()
    lose_slot(postgres, source)
    status = await source.until(lambda status: status.reason != "ConnectUnusable")
    assert status.reason == "SlotLost"
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(f'ALTER ROLE "{source.capture.username}" NOREPLICATION')
        assert not (await source.reconcile()).ready
        assert not (await source.reconcile()).ready
        connection.execute(f'ALTER ROLE "{source.capture.username}" REPLICATION')
    # The connector is stopped by now, and what the object says is all that is known.
    source.status = remembered(source.outbox, source.status.as_status()) if source.status else None
    assert (await source.until_ready()).reason == "SlotRecreated"


def lose_slot(postgres: PostgresServer, source: Source) -> None:
    source.connect.kill()
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = %s",
            (source.outbox.slot,),
        )
        connection.execute("SELECT pg_drop_replication_slot(%s)", (source.outbox.slot,))
    source.connect.start()


async def test_an_idle_outbox_in_a_busy_database_keeps_no_wal(source: Source, reader: Reader) -> None:
    await source.until_ready()
    with psycopg.connect(source.owner.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE orders.noise AS SELECT g, repeat('x', 500) FROM generate_series(1, 20000) g")

    await source.until(lambda status: status.lag_bytes < 1_000_000)


async def test_removing_leaves_topics_only(source: Source, postgres: PostgresServer, reader: Reader) -> None:
    await source.until_ready()
    assert await source.remove() == []
    assert await source.remove() == []

    name = source.outbox.slot
    assert query(postgres.admin_url, f"SELECT FROM pg_replication_slots WHERE slot_name = '{name}'") == []
    assert query(source.owner.url, f"SELECT FROM pg_publication WHERE pubname = '{name}'") == []
    assert set(source.outbox.topics) <= set(reader.consumer.list_topics(timeout=10).topics)


@pytest.mark.parametrize(
    ("broken", "reason", "words"),
    [
        ("postgres", "DatabaseUnusable", "cannot connect to PostgreSQL as"),
        ("password", "DatabaseUnusable", "check host, port, database, username and password"),
        ("connect", "ConnectUnusable", "Kafka Connect at http://127.0.0.1:1 does not answer"),
        ("kafka", "KafkaUnusable", "Kafka at 127.0.0.1:1 does not answer"),
    ],
)
async def test_a_broken_address_is_named_with_the_next_step_and_no_password(
    source: Source, broken: str, reason: str, words: str
) -> None:
    ways: dict[str, dict[str, Any]] = {
        "postgres": {"owner": replace(database_of(source.owner), port=1)},
        "password": {"capture": replace(database_of(source.capture), password="wrong-secret")},
        "connect": {"connect_url": "http://127.0.0.1:1"},
        "kafka": {"bootstrap": "127.0.0.1:1"},
    }
    status = await source.reconcile(**ways[broken])

    assert not status.ready
    assert status.reason == reason
    assert words in status.message
    assert "check" in status.message
    assert source.owner.password not in status.message
    assert "wrong-secret" not in status.message
    assert status.last_error == status.message


@pytest.mark.parametrize(
    ("change", "reason", "word"),
    [
        ("ALTER TABLE orders.outbox RENAME event_type TO kind", "TableUnsuitable", "event_type"),
        ("ALTER TABLE orders.outbox ALTER payload TYPE bytea USING NULL", "TableUnsuitable", "bytea"),
        ("ALTER TABLE orders.outbox ALTER event_type DROP NOT NULL", "TableUnsuitable", "SET NOT NULL"),
        ("ALTER TABLE orders.outbox DROP CONSTRAINT outbox_pkey", "TableUnsuitable", "ADD PRIMARY KEY"),
        ("ALTER TABLE orders.outbox SET UNLOGGED", "TableUnsuitable", "SET LOGGED"),
        ("CREATE TABLE orders.more () INHERITS (orders.outbox)", "TableUnsuitable", "orders.more"),
        ("CREATE RULE away AS ON INSERT TO orders.outbox DO INSTEAD NOTHING", "TableUnsuitable", "DROP RULE away"),
        (
            "ALTER TABLE orders.outbox RENAME TO kept; CREATE VIEW orders.outbox AS TABLE orders.kept",
            "TableUnsuitable",
            "view",
        ),
        ("DROP TABLE orders.outbox", "TableMissing", "migration"),
        ("ALTER TABLE orders.outbox ENABLE ROW LEVEL SECURITY", "RowsHidden", "BYPASSRLS"),
        (
            "REVOKE SELECT ON orders.outbox FROM {capture}",
            "RightsMissing",
            "GRANT SELECT ON orders.outbox TO {capture}",
        ),
        ("REVOKE USAGE ON SCHEMA orders FROM {capture}", "RightsMissing", "GRANT USAGE ON SCHEMA orders TO {capture}"),
        ("ALTER ROLE {capture} NOREPLICATION", "RightsMissing", "ALTER ROLE {capture} REPLICATION"),
        (
            "CREATE PUBLICATION kompensa_other FOR TABLE orders.outbox;"
            " SELECT pg_create_logical_replication_slot('kompensa_other', 'pgoutput')",
            "TableTaken",
            "kompensa_other",
        ),
    ],
)
async def test_a_table_that_cannot_be_captured_is_named_and_leaves_nothing_at_connect(
    source: Source, postgres: PostgresServer, change: str, reason: str, word: str
) -> None:
    with psycopg.connect(postgres.admin_of(source.owner.database).url, autocommit=True) as connection:
        for statement in change.format(capture=source.capture.username).split(";"):
            connection.execute(statement)
    status = await source.reconcile()

    assert (status.ready, status.reason, status.connector_state) == (False, reason, "Absent")
    assert word.format(capture=source.capture.username) in status.message
    async with Connect(source.connect.url) as rest:
        assert await rest.config(source.outbox.connector) is None
    made = f"SELECT FROM pg_replication_slots WHERE slot_name = '{source.outbox.slot}'"
    assert query(postgres.admin_url, made) == []


async def test_secrets_that_name_different_databases_are_reported(source: Source, postgres: PostgresServer) -> None:
    other = replace(database_of(source.capture), database="postgres")
    status = await source.reconcile(capture=other)

    assert not status.ready
    assert source.owner.database in status.message
    assert "different databases" in status.message
    assert "both Secrets" in status.message


async def test_a_part_that_cannot_be_removed_is_reported_and_does_not_hinder_the_others(source: Source) -> None:
    await source.until_ready()
    (left,) = await remove_outbox(
        source.outbox, owner=None, capture=database_of(source.capture), connect_url=source.connect.url
    )
    assert (left.kind, left.name, left.error) == ("publication", source.outbox.publication, None)
    slots = "SELECT FROM pg_replication_slots WHERE database = current_database()"
    assert query(source.owner.url, slots) == []


async def test_the_database_is_known_to_the_connector_as_long_as_there_is_one(source: Source) -> None:
    await source.until_ready()
    login = (source.capture.username, source.capture.password)
    asked: dict[str, Any] = {"connect_url": source.connect.url, "login": login}
    assert await captured_database(source.outbox, **asked) == database_of(source.capture)
    # Its configuration names files that only Connect can read.
    assert await captured_database(source.outbox, **(asked | {"login": None})) is None
    await source.remove()
    assert await captured_database(source.outbox, **asked) is None
