"""Planted defects: whatever keeps rows from the stream is found, has its reason, and loses nothing once it is gone."""

import os
import signal
import uuid
from dataclasses import replace

import psycopg
import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # declares no re-exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from kompensa_cdc.capture import OutboxStatus, delivery, heartbeat
from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.republish import republisher
from kompensa_dev.postgres import PostgresServer

from .capture_source import PARTITIONED, Reader, Source
from .copies import CREATED, eventually, query
from .outboxes import OUTBOX

RECREATED = OUTBOX.replace("CREATE SCHEMA orders;", "ALTER TABLE orders.outbox RENAME TO outbox_old;")


def execute(source: Source, *statements: str) -> None:
    with psycopg.connect(source.owner.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.format(capture=source.capture.username))


def write(source: Source, *, event: str = CREATED, size: int = 0) -> str:
    key = str(uuid.uuid4())
    source.write(key, 1, event, {"note": "x" * size})
    return key


async def until_reason(source: Source, reason: str) -> OutboxStatus:
    return await source.until(lambda status: status.reason == reason)


async def test_a_ready_outbox_says_when_a_heartbeat_last_came_and_how_long_it_took(source: Source) -> None:
    first = await source.until_ready()
    second = await source.until(lambda status: status.ready and status.delivery.delivered > first.delivery.delivered)
    assert 0 < second.delivery.seconds < 30
    assert "lastDelivered" in second.as_status()


async def test_an_event_that_is_too_large_is_reported_and_holds_up_no_other(source: Source, reader: Reader) -> None:
    await source.until_ready()
    large = write(source, size=source.outbox.max_event_bytes)
    after = write(source)
    status = await until_reason(source, "RecordTooLarge")
    assert not status.ready
    (row,) = query(source.owner.url, f"SELECT id FROM orders.outbox WHERE aggregate_id = '{large}'")
    assert str(row["id"]) in status.message
    eventually(reader.received, lambda keys: after in keys)
    assert large not in reader.received()
    # The one way out: it is given up.
    execute(source, f"DELETE FROM orders.outbox WHERE aggregate_id = '{large}'")
    assert (await source.until_ready()).reason == "Capturing"


async def test_an_event_that_was_too_large_is_published_once_the_limit_is_raised(
    source: Source, reader: Reader
) -> None:
    large = write(source, size=3_000_000)
    await until_reason(source, "RecordTooLarge")
    source.outbox = replace(source.outbox, max_event_bytes=4_000_000)
    assert (await until_reason(source, "PublicationChanged")).published == frozenset()
    source.forget()
    await source.until_ready()
    eventually(reader.received, lambda keys: large in keys)


@pytest.mark.parametrize("spoilt", ["customer created", "occurred_at"])
async def test_a_row_that_cannot_be_a_record_is_reported_and_holds_up_no_other(
    source: Source, reader: Reader, spoilt: str
) -> None:
    await source.until_ready()
    key = write(source, event=CREATED if spoilt == "occurred_at" else spoilt)
    if spoilt == "occurred_at":
        execute(
            source,
            "INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type,"
            " event_version, occurred_at) VALUES ('customer', gen_random_uuid(), 1, 'customer-created', '1.0',"
            " 'infinity')",
        )
    status = await until_reason(source, "RowUnpublishable")
    assert not status.ready
    after = write(source)
    eventually(reader.received, lambda keys: after in keys)
    assert (key in reader.received()) == (spoilt == "occurred_at")


@pytest.mark.parametrize("where", ["in the table", "in the slot"])
async def test_a_backlog_of_large_events_does_not_exhaust_connects_memory(
    source: Source, reader: Reader, where: str
) -> None:
    if where == "in the slot":
        await source.until_ready()
        source.connect.kill()
    execute(
        source,
        "INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type, event_version,"
        " payload) SELECT 'customer', gen_random_uuid(), 1, 'customer-created', '1.0',"
        " jsonb_build_object('note', repeat('x', 1000000)) FROM generate_series(1, 400)",
    )
    if where == "in the slot":
        source.connect.start()
    await source.until(lambda _: len(reader.received()) == 400, seconds=180)
    assert "ConnectorFailed" not in source.reasons
    assert (await source.until_ready()).connector_state == "RUNNING"


async def test_a_table_that_a_migration_recreates_loses_no_event(source: Source, reader: Reader) -> None:
    await source.until_ready()
    execute(source, RECREATED)
    between = write(source)
    execute(source, "DROP TABLE orders.outbox_old")
    assert (await source.reconcile()).reason == "RightsMissing"
    execute(source, 'GRANT SELECT ON orders.outbox TO "{capture}"')
    changed = await until_reason(source, "PublicationChanged")
    assert not changed.ready
    source.forget()
    after = write(source)
    await source.until_ready()
    assert "Republishing" in source.reasons
    eventually(reader.received, lambda keys: {between, after} <= keys)
    async with Connect(source.connect.url) as rest:
        assert await rest.config(republisher(source.outbox)) is None


async def test_an_event_of_a_transaction_that_was_open_at_the_repair_is_not_lost(
    source: Source, reader: Reader
) -> None:
    await source.until_ready()
    execute(source, RECREATED, "DROP TABLE orders.outbox_old", 'GRANT SELECT ON orders.outbox TO "{capture}"')
    key = str(uuid.uuid4())
    with psycopg.connect(source.owner.url) as connection:
        connection.execute(
            "INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type, event_version)"
            " VALUES ('customer', %s, 1, 'customer-created', '1.0')",
            (key,),
        )
        status = await until_reason(source, "Republishing")
        assert "pg_stat_activity" in status.message
        assert (await source.reconcile()).reason == "Republishing"
        connection.commit()
    await source.until_ready()
    eventually(reader.received, lambda keys: key in keys)


async def test_rows_of_a_partition_that_is_attached_are_published(source: Source, reader: Reader) -> None:
    execute(source, PARTITIONED, 'GRANT SELECT ON orders.outbox TO "{capture}"')
    await source.until_ready()
    execute(source, "CREATE TABLE orders.extra (LIKE orders.outbox INCLUDING ALL)")
    key = str(uuid.uuid4())
    execute(
        source,
        "INSERT INTO orders.extra (aggregate_type, aggregate_id, aggregate_version, event_type, event_version,"
        f" occurred_at) VALUES ('customer', '{key}', 1, 'customer-created', '1.0', '2020-01-01')",
        "ALTER TABLE orders.outbox ATTACH PARTITION orders.extra FOR VALUES FROM ('2019-01-01') TO ('2021-01-01')",
    )
    assert not (await until_reason(source, "Republishing")).ready
    await source.until_ready()
    eventually(reader.received, lambda keys: key in keys)


async def test_a_migration_may_change_a_column_that_the_row_filter_reads(source: Source, reader: Reader) -> None:
    await source.until_ready()
    with psycopg.connect(source.owner.url) as connection:
        connection.execute("SAVEPOINT refused")
        with pytest.raises(psycopg.errors.FeatureNotSupported):
            connection.execute("ALTER TABLE orders.outbox ALTER payload TYPE json")
        connection.execute("ROLLBACK TO refused")
        connection.execute(f"ALTER PUBLICATION {source.outbox.publication} SET TABLE orders.outbox")
        connection.execute("ALTER TABLE orders.outbox ALTER payload TYPE json")
    between = write(source)
    assert (await source.until_ready()).reason == "Capturing"
    after = write(source)
    large = write(source, size=source.outbox.max_event_bytes)
    await until_reason(source, "RecordTooLarge")
    eventually(reader.received, lambda keys: {between, after} <= keys)
    assert large not in reader.received()


@pytest.mark.parametrize(
    ("defect", "reason", "cure"),
    [
        ("ALTER PUBLICATION {name} SET (publish = 'update')", "PublicationChanged", ""),
        ("ALTER PUBLICATION {name} SET TABLE orders.outbox WHERE (aggregate_version > 5)", "PublicationChanged", ""),
        ("ALTER PUBLICATION {name} DROP TABLE orders.outbox", "PublicationChanged", ""),
        (
            "CREATE UNLOGGED TABLE orders.recent PARTITION OF orders.outbox"
            " FOR VALUES FROM ('2020-01-01') TO ('2100-01-01')",
            "TableUnsuitable",
            "ALTER TABLE orders.recent SET LOGGED",
        ),
    ],
    ids=["publication without INSERT", "publication with a row filter", "publication without the table", "unlogged"],
)
async def test_rows_that_were_kept_from_the_stream_are_published_once_it_is_put_right(
    source: Source, reader: Reader, defect: str, reason: str, cure: str
) -> None:
    if "PARTITION" in defect:
        execute(
            source,
            PARTITIONED.replace("CREATE TABLE orders.outbox_all", "CREATE TABLE orders.past").replace(
                "DEFAULT;\n", "FOR VALUES FROM ('2010-01-01') TO ('2020-01-01');\n"
            ),
            'GRANT SELECT ON orders.outbox TO "{capture}"',
        )
    await source.until_ready()
    execute(source, defect.replace("{name}", source.outbox.publication))
    missed = write(source)
    status = await until_reason(source, reason)
    assert not status.ready
    source.forget()
    if cure:
        execute(source, cure)
    await source.until_ready()
    eventually(reader.received, lambda keys: missed in keys)


async def test_a_publication_of_another_role_that_has_to_be_corrected_is_named(
    source: Source, reader: Reader, postgres: PostgresServer
) -> None:
    await source.until_ready()
    name = source.outbox.publication
    admin = postgres.admin_of(source.owner.database).url
    execute(source, f"ALTER PUBLICATION {name} DROP TABLE orders.outbox")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"ALTER PUBLICATION {name} OWNER TO postgres")
    missed = write(source)
    status = await until_reason(source, "RightsMissing")
    assert f"OWNER TO {source.owner.username}" in status.message
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"ALTER PUBLICATION {name} OWNER TO {source.owner.username}")
    await source.until_ready()
    eventually(reader.received, lambda keys: missed in keys)


async def test_row_level_security_is_reported_and_its_rows_are_published_later(source: Source, reader: Reader) -> None:
    hidden = write(source)
    execute(source, "ALTER TABLE orders.outbox ENABLE ROW LEVEL SECURITY")
    assert (await source.reconcile()).reason == "RowsHidden"
    execute(source, "ALTER TABLE orders.outbox DISABLE ROW LEVEL SECURITY")
    await source.until_ready()
    eventually(reader.received, lambda keys: hidden in keys)


async def test_a_dropped_publication_is_a_lost_slot(source: Source, reader: Reader) -> None:
    await source.until_ready()
    execute(source, f"DROP PUBLICATION {source.outbox.publication}")
    missed = write(source)
    assert (await until_reason(source, "SlotLost")).slot_lost
    await source.until_ready()
    eventually(reader.received, lambda keys: missed in keys)


async def test_a_topic_that_was_deleted_is_filled_again(source: Source, reader: Reader) -> None:
    await source.until_ready()
    key = write(source)
    reader.wait_for(1)
    topic = f"{source.outbox.topic_prefix}.{CREATED}"
    admin = AdminClient({"bootstrap.servers": source.kafka.bootstrap})
    admin.delete_topics([topic])[topic].result(10)
    assert not (await until_reason(source, "TopicDeleted")).ready
    source.forget()
    await source.until_ready()
    again = Reader(source.kafka.bootstrap, source.outbox)
    eventually(again.received, lambda keys: key in keys)
    again.consumer.close()


async def test_settings_of_a_topic_that_lose_events_are_corrected(source: Source) -> None:
    await source.until_ready()
    admin = AdminClient({"bootstrap.servers": source.kafka.bootstrap})
    wrong = {"cleanup.policy": "compact", "max.message.bytes": "1000"}
    entries = [ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wrong.items()]
    topic = ConfigResource(ConfigResource.Type.TOPIC, source.outbox.topics[0], incremental_configs=entries)
    for changed in admin.incremental_alter_configs([topic]).values():
        changed.result(10)
    await source.until_ready()
    resource = ConfigResource(ConfigResource.Type.TOPIC, source.outbox.topics[0])
    (described,) = admin.describe_configs([resource]).values()
    settings = described.result(10)
    assert {name: settings[name].value for name in wrong} == {
        "cleanup.policy": "delete",
        "max.message.bytes": str(source.outbox.max_record_bytes),
    }


async def test_a_connector_that_was_paused_or_edited_by_hand_is_put_right(source: Source, reader: Reader) -> None:
    await source.until_ready()
    async with Connect(source.connect.url) as rest:
        config = await rest.config(source.outbox.connector)
        assert config is not None
        await rest.put_config(source.outbox.connector, {**config, "table.include.list": "orders\\.nothing"})
        await rest._call("PUT", f"/connectors/{source.outbox.connector}/pause")
        key = write(source)
        await source.until_ready()
        assert await rest.config(source.outbox.connector) == config
    eventually(reader.received, lambda keys: key in keys)


async def test_another_connector_on_the_slot_is_named(source: Source) -> None:
    await source.until_ready()
    async with Connect(source.connect.url) as rest:
        config = await rest.config(source.outbox.connector)
        assert config is not None
        await rest.create_stopped("thief", config)
        try:
            status = await source.reconcile()
        finally:
            await rest.delete("thief")
    assert (status.ready, status.reason) == (False, "SlotTaken")
    assert "thief" in status.message


async def test_a_slot_of_another_plugin_under_our_name_is_not_used(source: Source, postgres: PostgresServer) -> None:
    query(
        postgres.admin_url,
        f"SELECT pg_create_logical_replication_slot('{source.outbox.slot}', 'test_decoding')",
    )
    status = await source.reconcile()
    assert (status.ready, status.reason) == (False, "SlotTaken")
    assert "test_decoding" in status.message


async def test_heartbeats_that_do_not_come_are_reported_with_the_likely_cause(
    source: Source, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await source.until_ready()
    monkeypatch.setattr(delivery, "TIMEOUT_SECONDS", 2.0)
    monkeypatch.setattr(heartbeat, "WAIT_SECONDS", 0.5)
    # The process that reads the WAL for the connector hangs: everything still says that it runs.
    (reading,) = query(
        source.owner.url, f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{source.outbox.slot}'"
    )
    os.kill(reading["active_pid"], signal.SIGSTOP)
    try:
        key = write(source)
        status = await until_reason(source, "DeliveryStalled")
    finally:
        os.kill(reading["active_pid"], signal.SIGCONT)
    assert (status.ready, status.connector_state) == (False, "RUNNING")
    assert heartbeat.topic_of(source.outbox) in status.message
    assert "1 rows of orders.outbox wait" in status.message
    source.forget()
    assert (await source.until_ready()).reason == "Capturing"
    eventually(reader.received, lambda keys: key in keys)


async def test_a_broker_that_is_gone_is_reported_and_nothing_is_lost(source: Source, reader: Reader) -> None:
    await source.until_ready()
    source.kafka.kill()
    key = write(source)
    try:
        # Connect's own answers wait for the broker, too: whichever is asked first says so.
        assert (await source.reconcile()).reason in ("KafkaUnusable", "ConnectUnusable")
    finally:
        source.kafka.start()
    await source.until_ready()
    eventually(reader.received, lambda keys: key in keys)


async def test_a_session_that_replicates_and_a_missing_replica_identity_lose_nothing(
    source: Source, reader: Reader, postgres: PostgresServer
) -> None:
    await source.until_ready()
    execute(source, "ALTER TABLE orders.outbox REPLICA IDENTITY NOTHING")
    key = str(uuid.uuid4())
    with psycopg.connect(postgres.admin_of(source.owner.database).url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type, event_version)"
            " VALUES ('customer', %s, 1, 'customer-created', '1.0')",
            (key,),
        )
    eventually(reader.received, lambda keys: key in keys)
