"""Databases that are full when a service is upgraded keep their rows, and what they left open can be finished (S2)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row

from inventory.app import service as inventory
from kompensa_dev.checkout import checkout
from kompensa_dev.http import answers_ok
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login
from kompensa_dev.process import Program
from kompensa_dev.run import Run
from kompensa_participant.migrations import config, migrate
from payments.app import service as payments
from tests.integration.conftest_participants import SagaCall, serve
from tests.integration.test_service_inventory import LEDGER as STOCK_DIFFERS
from tests.integration.test_service_payments import LEDGER as PAYMENT_DIFFERS
from tests.integration.test_service_payments import copy
from tests.support.services import SERVICES

PRODUCT, ANA = str(uuid.UUID(int=1)), str(uuid.UUID(int=7))
KEPT, GIVEN_BACK = str(uuid.UUID(int=100)), str(uuid.UUID(int=101))
TOKEN = "the-token-of-the-engine"
README = checkout() / "charts/shop/README.md"
SELLING = re.compile(r"^   ```sh\n(   # ORDERS_URL.*?)^   ```$", re.DOTALL | re.MULTILINE)

STOCK_BEFORE = f"""
INSERT INTO stock VALUES ('{PRODUCT}', 8, 2, 0);
INSERT INTO reservations (id, saga_id, status, released_at) VALUES
    ('{KEPT}', '{KEPT}', 'reserved', NULL), ('{GIVEN_BACK}', '{GIVEN_BACK}', 'released', now());
INSERT INTO reservation_items VALUES ('{KEPT}', '{PRODUCT}', 2), ('{GIVEN_BACK}', '{PRODUCT}', 1);
INSERT INTO stock_movements (catalog_product_id, kind, on_hand_change, reserved_change, saga_id) VALUES
    ('{PRODUCT}', 'count', 10, 0, NULL),
    ('{PRODUCT}', 'reserve', -2, 2, '{KEPT}'),
    ('{PRODUCT}', 'reserve', -1, 1, '{GIVEN_BACK}'),
    ('{PRODUCT}', 'release', 1, -1, '{GIVEN_BACK}');
"""
NAMED_BEFORE = f"INSERT INTO products VALUES ('{PRODUCT}', 'Mouse', 3, now(), NULL);"
PAID_BEFORE = f"""
INSERT INTO payment_methods VALUES ('pm-abc', '{ANA}', 90.03), ('pm-other', NULL, 5);
INSERT INTO payments (id, saga_id, orders_customer_id, payment_method_id, captured, refunded) VALUES
    ('{KEPT}', '{KEPT}', '{ANA}', 'pm-abc', 209.97, 0), ('{GIVEN_BACK}', '{GIVEN_BACK}', '{ANA}', 'pm-abc', 1, 1);
INSERT INTO entries (payment_id, saga_id, kind, amount) VALUES
    ('{KEPT}', '{KEPT}', 'capture', 209.97), ('{GIVEN_BACK}', '{GIVEN_BACK}', 'capture', 1),
    ('{GIVEN_BACK}', '{GIVEN_BACK}', 'refund', 1);
"""
ORDERED_BEFORE = f"""
INSERT INTO customers (id, email, document, full_name, shipping_address, billing_address, payment_methods)
VALUES ('{ANA}', 'ana@example.com', '1', 'Ana', '{{}}', '{{}}', '[]');
INSERT INTO orders (id, saga_id, customer_id, total_amount, status) VALUES
    ('{KEPT}', '{KEPT}', '{ANA}', 59.98, 'confirmed'), ('{GIVEN_BACK}', '{GIVEN_BACK}', '{ANA}', 29.99, 'cancelled');
"""
RECEIVER_BEFORE = f"""
INSERT INTO customers (orders_customer_id, email, full_name, phone, shipping_address, source_version, synced_at)
VALUES ('{ANA}', 'ana@example.com', 'Ana', '1', '{{}}', 1, now());
"""
SHIPPED_BEFORE = f"""
INSERT INTO orders (orders_order_id, status, source_version) VALUES ('{KEPT}', 'paid', 2), ('{GIVEN_BACK}', 'paid', 2);
INSERT INTO shipments (id, orders_order_id, status, tracking_number, dispatched_at) VALUES
    ('{KEPT}', '{KEPT}', 'dispatched', 'BR1', now()), ('{GIVEN_BACK}', '{GIVEN_BACK}', 'prepared', NULL, NULL);
"""
FILLED = [
    ("inventory", "0001", STOCK_BEFORE),
    ("inventory", "0002", STOCK_BEFORE + NAMED_BEFORE),
    ("inventory", "0003", STOCK_BEFORE + NAMED_BEFORE),
    ("payments", "0001", PAID_BEFORE),
    ("payments", "0002", PAID_BEFORE),
    ("shipping", "0001", RECEIVER_BEFORE),
    ("shipping", "0002", RECEIVER_BEFORE + SHIPPED_BEFORE),
]
COUNTED = {
    "inventory": ["stock", "reservations", "reservation_items", "stock_movements"],
    "payments": ["payment_methods", "payments", "entries"],
    "shipping": ["customers", "orders", "shipments"],
}
"""Those of them that a revision has are compared."""


def fill(login: Login, name: str, revision: str, rows: str) -> None:
    """Make a service's schema as of a revision, with these rows."""
    with psycopg.connect(login.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}".encode())
        command.upgrade(config(name, url=login.url, schema=name), revision)
        connection.execute(f"SET search_path = {name}".encode())
        connection.execute(rows.encode())


def contents(login: Login, name: str) -> dict[str, list[dict[str, object]]]:
    with psycopg.connect(login.url, row_factory=dict_row) as connection:
        return {
            table: connection.execute(f"SELECT * FROM {name}.{table} ORDER BY 1, 2".encode()).fetchall()
            for table in COUNTED[name]
            if (connection.execute("SELECT to_regclass(%s) AS it", (f"{name}.{table}",)).fetchone() or {})["it"]
        }


@pytest.mark.parametrize(("name", "revision", "rows"), FILLED)
def test_an_upgrade_of_a_filled_database_keeps_each_row(database: Login, name: str, revision: str, rows: str) -> None:
    fill(database, name, revision, rows)
    before = contents(database, name)
    migrate(name, url=database.url, schema=name)
    after = contents(database, name)
    for table, kept in before.items():
        assert [row.items() >= old.items() for row, old in zip(after[table], kept, strict=True)] == [True] * len(kept)


def test_each_migration_of_these_services_is_tried_on_a_filled_database() -> None:
    """Those of orders and invoices are tried in the tests of these services. The others have one revision."""
    tried = {(name, revision) for name, revision, _ in FILLED}
    for name in set(SERVICES) - {"orders", "invoices"}:
        script = ScriptDirectory.from_config(config(name, url="postgresql://nowhere", schema=name))
        starts = {revision.revision for revision in script.walk_revisions() if not revision.is_head}
        assert {(name, start) for start in starts} <= tried


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_a_reservation_from_before_the_upgrade_can_be_sold(database: Login, revision: str) -> None:
    fill(database, "inventory", revision, STOCK_BEFORE)
    async with serve(inventory, database) as desk:
        saga = SagaCall(client=desk.client, saga_id=KEPT, step="sell-inventory")
        sold = await saga.action("/reservations/sell", {})
        assert (sold.status_code, sold.json()["status"]) == (200, "sold")
        found = (await desk.client.get(f"/stock/{PRODUCT}")).json()
        assert (found["onHand"], found["reserved"], found["sold"]) == (8, 0, 2)
        assert desk.rows(STOCK_DIFFERS) == []


async def test_payments_from_before_the_upgrade_stand_and_a_balance_pays_for_its_customer(
    database: Login,
) -> None:
    fill(database, "payments", "0001", PAID_BEFORE)
    async with serve(payments, database) as desk:
        assert (await desk.client.get("/payment-methods/pm-abc")).json()["balance"] == "90.03"
        copy(desk, ANA, "pm-abc")
        body = {"customerId": ANA, "amount": "90.03", "paymentMethodId": "pm-abc"}
        assert (await desk.saga().action("/payments", body)).status_code == 201
        assert (await desk.client.get("/payment-methods/pm-abc")).json()["balance"] == "0.00"
        assert desk.rows(PAYMENT_DIFFERS) == []


@pytest.fixture
def inventory_url(run: Run, database: Login, tmp_path: Path) -> Iterator[str]:
    """Inventory as a process that checks its callers, after the upgrade of a filled database."""
    fill(database, "inventory", "0002", STOCK_BEFORE)
    migrate("inventory", url=database.url, schema="inventory")
    (tmp_path / "engine").write_text(TOKEN)
    name = f"inventory-{database.database}"
    port = Ports().take(name)
    environment = {
        "DATABASE_URL": database.url,
        "HOST": HOST,
        "PORT": str(port),
        "CALLER_TOKENS_DIR": str(tmp_path),
    }
    process = run.start(Program(name=name, argv=[sys.executable, "-m", "inventory", "serve"], environment=environment))
    url = f"http://{HOST}:{port}"
    process.wait_ready(lambda: answers_ok(f"{url}/readyz"), what="/readyz", timeout=60)
    yield url
    process.stop()


def test_the_readmes_commands_sell_what_confirmed_orders_had_reserved(database: Login, inventory_url: str) -> None:
    fill(database, "orders", "0004", ORDERED_BEFORE)
    (commands,) = SELLING.findall(README.read_text(encoding="utf-8"))
    environment = {"ORDERS_URL": database.url, "INVENTORY": inventory_url, "TOKEN": TOKEN, "PATH": os.environ["PATH"]}
    for _ in range(2):
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.stdout, ran.stderr) == (f"{KEPT} 200\n", "")
    with psycopg.connect(database.url, row_factory=dict_row) as connection:
        statuses = connection.execute("SELECT id::text, status FROM inventory.reservations ORDER BY 1").fetchall()
        assert connection.execute(STOCK_DIFFERS.encode()).fetchall() == []
    assert statuses == [{"id": KEPT, "status": "sold"}, {"id": GIVEN_BACK, "status": "released"}]
