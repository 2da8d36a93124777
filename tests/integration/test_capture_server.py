"""Defects of a PostgreSQL server that keep WAL or lose it, on a server of their own; no Kafka and no Connect."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest

from kompensa_cdc.capture import Database, Outbox, outbox_from_object, source
from kompensa_cdc.capture.columns import REQUIRED
from kompensa_cdc.capture.errors import CaptureError
from kompensa_cdc.capture.publication import event_bytes
from kompensa_cdc.capture.table import read_table
from kompensa_cdc.capture.unpublishable import Search, search
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.run import Run
from kompensa_eventstore.encoding import plain

from .capture_source import database_of
from .copies import eventually, query
from .outboxes import OUTBOX

CAPTURED = outbox_from_object("shop", "orders", {"table": "orders.outbox", "topicPrefix": "o", "events": ["made"]})
SLOW_SECONDS = 30
INSERT = (
    "INSERT INTO orders.outbox (aggregate_type, aggregate_id, aggregate_version, event_type, event_version)"
    " VALUES ('customer', gen_random_uuid(), 1, 'made', '1.0')"
)


@dataclass(frozen=True)
class Server:
    """An outbox on a server whose settings a test may change."""

    postgres: PostgresServer
    owner: Login
    capture: Database
    outbox: Outbox = CAPTURED

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.postgres.admin_of(self.owner.database).url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    async def slot(self) -> source.Slot:
        found = await source.read_slot(self.capture, self.outbox)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def own_postgres(run: Run) -> Iterator[PostgresServer]:
    server = PostgresServer(run, name="postgres-of-defects")
    with psycopg.connect(server.admin_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET max_prepared_transactions = 4")
        connection.execute("ALTER SYSTEM SET min_wal_size = '32MB'")
    server.stop()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(own_postgres: PostgresServer) -> Iterator[Server]:
    owner = own_postgres.create_database("orders")
    capture = own_postgres.create_capture_role("orders")
    made = Server(own_postgres, owner, database_of(capture))
    made.execute(OUTBOX, f"GRANT ALL ON SCHEMA orders TO {owner.username}")
    yield made
    own_postgres.drop_database("orders")


async def test_a_prepared_transaction_that_was_forgotten_is_named(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await source.create_slot(server.capture, server.outbox)
    server.execute("BEGIN", INSERT, "PREPARE TRANSACTION 'forgotten'")
    try:
        assert (await server.slot()).prepared == ""
        monkeypatch.setattr(source, "LONG_PREPARED_SECONDS", 0.0)
        assert "forgotten" in (await server.slot()).prepared
        monkeypatch.setattr(source, "STATEMENT_TIMEOUT_SECONDS", 1)
        await source.drop_slot(server.capture, server.outbox)
        with pytest.raises(CaptureError, match="pg_prepared_xacts") as refused:
            await source.create_slot(server.capture, server.outbox)
        assert refused.value.reason == "TransactionOpen"
    finally:
        server.execute("ROLLBACK PREPARED 'forgotten'")


async def test_a_slot_that_is_further_behind_than_the_server_keeps_wal_is_at_risk_and_then_lost(
    server: Server,
) -> None:
    await source.create_slot(server.capture, server.outbox)
    assert not (await server.slot()).at_risk
    for _ in range(6):
        server.execute(INSERT, "SELECT pg_switch_wal()")
    # Set only now: while WAL is written, a small max_wal_size makes checkpoints by itself.
    server.execute(
        "ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'",
        "ALTER SYSTEM SET max_wal_size = '32MB'",
        "SELECT pg_reload_conf()",
    )
    show = "SELECT current_setting('max_slot_wal_keep_size') AS keeps"
    eventually(lambda: query(server.owner.url, show), lambda rows: rows == [{"keeps": "16MB"}])
    try:
        behind = await server.slot()
        assert (behind.at_risk, behind.lost) == (True, False)
        server.execute("CHECKPOINT")
        assert (await server.slot()).lost
    finally:
        server.execute("ALTER SYSTEM RESET max_slot_wal_keep_size", "ALTER SYSTEM RESET max_wal_size")


async def test_a_table_that_is_too_large_for_one_look_is_not_called_broken(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(CAPTURED, table="orders.slow")
    server.execute(f"CREATE VIEW orders.slow AS SELECT o.* FROM orders.outbox o, pg_sleep({SLOW_SECONDS})", INSERT)
    server.execute(f'GRANT USAGE ON SCHEMA orders TO "{server.capture.username}"')
    server.execute(f'GRANT SELECT ON orders.slow TO "{server.capture.username}"')
    async with source.connected(server.capture, "looking") as connection:
        table = await read_table(connection, CAPTURED)
    assert table is not None
    monkeypatch.setitem(source.SETTINGS, "statement_timeout", "100ms")
    last = Search(reason="RecordTooLarge", message="as before")
    found = await search(server.capture, slow, table, last)
    assert (found.reason, found.message) == (last.reason, last.message)
    assert found.due > last.due


@pytest.mark.parametrize(
    "payload",
    [{}, {"name": "João", "lines": [1, 2.5, None, True]}, {"text": 'a"b\\c\n\x01/'}, {"deep": [{"a": {"b": []}}]}],
)
async def test_kit_and_event_store_count_the_bytes_that_the_publication_counts(
    server: Server, payload: dict[str, Any]
) -> None:
    counted = event_bytes(CAPTURED, {name: types[0] for name, types in REQUIRED.items()})
    by_the_kit = json.dumps(payload, ensure_ascii=False)
    by_the_event_store, _ = plain(payload, type_="MADE", limit=1000)
    with psycopg.connect(server.owner.url) as connection:
        row = connection.execute(
            f"SELECT {counted} FROM (SELECT %s::jsonb AS payload, '' AS event_version, '' AS traceparent) e",
            (by_the_kit,),
        ).fetchone()
    assert row == (len(by_the_kit.encode()),) == (len(by_the_event_store.encode()),)
