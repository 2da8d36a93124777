"""The same order, placed by events: four services that react to each other, with no coordinator.

The outboxes are published by a relay of the test instead of Debezium, with the same keys and headers.
"""

from __future__ import annotations

import json
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # declares no re-exports
from psycopg.rows import dict_row

from kompensa_dev.http import answers_ok
from kompensa_dev.kafka import KafkaBroker
from kompensa_dev.ports import HOST, Ports
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_dev.process import Process, Program
from kompensa_dev.run import Run
from tests.support.shop import PASSPORT, Scene, Shop
from tests.support.waiting import eventually

SECONDS = 60.0
POLL_SECONDS = 0.05
PUBLISHED = {
    "orders": (
        "order-requested",
        "order-created",
        "order-refused",
        "order-cancelled",
        "order-confirmed",
        "order-expired",
    ),
    "inventory": ("stock-reserved", "stock-refused", "stock-released"),
    "payments": ("payment-captured", "payment-declined", "payment-refunded"),
    "invoices": ("invoice-issued", "invoice-refused", "invoice-cancelled"),
}
TOPICS = [f"{service}.{event}" for service, events in PUBLISHED.items() for event in events]


class Relay(threading.Thread):
    """Publishes every row of the outboxes, once, or twice where a connector would repeat it."""

    def __init__(self, logins: dict[str, Login], bootstrap: str) -> None:
        super().__init__(daemon=True)
        self._logins = logins
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 1})
        self._seen: set[uuid.UUID] = set()
        self._stopping = threading.Event()
        self.repeat = 1

    def run(self) -> None:
        connections = {name: psycopg.connect(login.url, autocommit=True) for name, login in self._logins.items()}
        while not self._stopping.wait(POLL_SECONDS):
            for service, connection in connections.items():
                self._publish(service, connection)
            self._producer.flush(10)

    def stop(self) -> None:
        self._stopping.set()
        self.join()

    def _publish(self, service: str, connection: psycopg.Connection[Any]) -> None:
        query = f"SELECT * FROM {service}.outbox ORDER BY occurred_at, aggregate_version"
        with connection.cursor(row_factory=dict_row) as cursor:
            for row in cursor.execute(query.encode()).fetchall():
                topic = f"{service}.{row['event_type']}"
                if row["id"] in self._seen or topic not in TOPICS:
                    continue
                self._seen.add(row["id"])
                for _ in range(self.repeat):
                    self._producer.produce(
                        topic, key=str(row["aggregate_id"]), value=json.dumps(row["payload"]), headers=headers(row)
                    )


def headers(row: dict[str, Any]) -> list[tuple[str, str | bytes | None]]:
    columns = {
        "id": "id",
        "event-type": "event_type",
        "event-version": "event_version",
        "aggregate-version": "aggregate_version",
        "saga-id": "saga_id",
        "traceparent": "traceparent",
    }
    return [(name, None if row[column] is None else str(row[column]).encode()) for name, column in columns.items()]


@dataclass
class Flow:
    """The four services, and what an order has left in their databases."""

    run: Run
    bootstrap: str
    logins: dict[str, Login]
    relay: Relay
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def shop(self) -> Shop:
        return Shop({name: f"http://{HOST}:{port}" for name, port in self.ports.items()})

    def start(self, service: str) -> None:
        port = self.ports.setdefault(service, Ports().take(service))
        environment = {
            "DATABASE_URL": self.logins[service].url,
            "HOST": HOST,
            "PORT": str(port),
            "KOMPENSA_KAFKA": self.bootstrap,
        }
        program = Program(name=service, argv=[sys.executable, "-m", service, "serve"], environment=environment)
        self.processes[service] = process = self.run.start(program)
        url = f"http://{HOST}:{port}/readyz"
        process.wait_ready(lambda: answers_ok(url), what="/readyz", timeout=SECONDS)

    def scene(self, **changes: Any) -> Scene:
        """A customer that invoices knows too, two products in stock, and money."""
        scene = self.shop.scene(**changes)
        document = changes.get("document", "12345678901")
        self.rows(
            "invoices",
            "INSERT INTO customers (orders_customer_id, email, document, full_name, billing_address, source_version,"
            f" synced_at) VALUES ('{scene.customer_id}', 'a@example.com', '{document}', 'Ana', '{{}}', 1, now())"
            " RETURNING id",
        )
        return scene

    def place(self, scene: Scene, **changes: Any) -> str:
        body = {**scene.order(), **changes}
        saga: str = self.shop.call("orders", "POST", "/placements", body).ok()["sagaId"]
        return saga

    def ended(self, saga: str) -> dict[str, Any]:
        """The placement, once it has ended and no event about it is on its way."""
        return eventually(
            lambda: dict(self.shop.call("orders", "GET", f"/placements/{saga}").ok()),
            f"{saga} to end",
            is_right=lambda placement: placement["status"] in ("placed", "failed"),
            seconds=2 * SECONDS,
        )

    def rows(self, service: str, query: str) -> list[dict[str, Any]]:
        options = f"-c search_path={service}"
        with psycopg.connect(self.logins[service].url, row_factory=dict_row, options=options) as connection:
            return connection.execute(query.encode()).fetchall()

    def kept(self, saga: str) -> dict[str, list[Any]]:
        """The state of everything that the order may leave behind, by service."""
        return {
            "inventory": self._column("inventory", "SELECT status FROM reservations", saga),
            "payments": self._column("payments", "SELECT captured - refunded FROM payments", saga),
            "orders": self._column("orders", "SELECT status FROM orders", saga),
            "invoices": self._column("invoices", "SELECT status FROM invoices", saga),
        }

    def _column(self, service: str, query: str, saga: str) -> list[Any]:
        found = self.rows(service, f"{query} WHERE saga_id = '{saga}'")
        return [str(value) for row in found for value in row.values()]

    def events(self, saga: str) -> set[str]:
        """The types of all events about the order."""
        query = f"SELECT event_type FROM outbox WHERE aggregate_id = '{saga}'"
        return {row["event_type"] for service in PUBLISHED for row in self.rows(service, query)}

    def parked(self) -> list[Any]:
        query = "SELECT topic, error FROM inbox WHERE state NOT IN ('Handled', 'Discarded')"
        return [row for service in PUBLISHED for row in self.rows(service, query)]


@pytest.fixture(scope="module")
def flow(run: Run, postgres: PostgresServer, kafka: KafkaBroker) -> Iterator[Flow]:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for future in admin.create_topics([NewTopic(name, 3, 1) for name in TOPICS]).values():
        future.result(30)
    logins = {name: postgres.create_database(f"flow_{name}") for name in PUBLISHED}
    for name, login in logins.items():
        environment = {"DATABASE_URL": login.url}
        argv = [sys.executable, "-m", name, "migrate"]
        run.run_to_end(Program(name=f"{name}-migrate", argv=argv, environment=environment), timeout=SECONDS)
    relay = Relay(logins, kafka.bootstrap)
    flow = Flow(run, kafka.bootstrap, logins, relay)
    for name in PUBLISHED:
        flow.start(name)
    relay.start()
    yield flow
    relay.stop()
    for process in flow.processes.values():
        process.stop()


def test_an_order_is_placed_with_the_outcome_of_the_saga(flow: Flow) -> None:
    scene = flow.scene()
    saga = flow.place(scene)
    placement = flow.ended(saga)
    assert (placement["status"], placement["detail"]) == ("placed", None)
    (order,) = flow.rows("orders", f"SELECT id FROM orders WHERE saga_id = '{saga}'")
    assert placement["orderId"] == str(order["id"])
    assert flow.kept(saga) == {
        "inventory": ["reserved"],
        "payments": ["209.97"],
        "orders": ["confirmed"],
        "invoices": ["issued"],
    }
    assert flow.events(saga) == {
        "order-requested",
        "stock-reserved",
        "payment-captured",
        "order-created",
        "invoice-issued",
        "order-confirmed",
    }


@pytest.mark.parametrize(
    ("scene", "order", "reason", "kept"),
    [
        ({"stock": 0}, {}, "wanted", {}),
        ({"balance": "1.00"}, {}, "insufficient funds", {"inventory": ["released"]}),
        (
            {},
            {"totalAmount": "1.00"},
            "add up to",
            {"inventory": ["released"], "payments": ["0.00"]},
        ),
        (
            {"document": PASSPORT},
            {},
            "neither a CPF",
            {"inventory": ["released"], "payments": ["0.00"], "orders": ["cancelled"]},
        ),
    ],
    ids=["stock", "payment", "order", "invoice"],
)
@pytest.mark.parametrize("repeat", [1, 2], ids=["once", "each event twice"])
def test_a_step_that_is_refused_undoes_those_before_it(
    flow: Flow, scene: dict[str, Any], order: dict[str, Any], reason: str, kept: dict[str, list[str]], repeat: int
) -> None:
    flow.relay.repeat = repeat
    saga = flow.place(flow.scene(**scene), **order)
    placement = flow.ended(saga)
    flow.relay.repeat = 1
    assert placement["status"] == "failed"
    assert placement["detail"].startswith("Order creation failed: ")
    assert reason in placement["detail"]
    assert flow.kept(saga) == {"inventory": [], "payments": [], "orders": [], "invoices": [], **kept}
    assert flow.parked() == []


def test_a_lost_participant_ends_in_cancellation_and_its_late_event_has_no_effect(flow: Flow) -> None:
    scene = flow.scene()
    flow.processes["payments"].kill()
    saga = flow.place(scene, deadlineSeconds=2)
    eventually(lambda: "order-cancelled" in flow.events(saga), "the way back to reach the lost participant")
    flow.start("payments")
    placement = flow.ended(saga)
    assert (placement["status"], "deadline" in placement["detail"]) == ("failed", True)
    kept = flow.kept(saga)
    # Payments reads two topics, in either order: it paid and refunded, or it found its tombstone.
    assert kept.pop("payments") in ([], ["0.00"])
    assert kept == {"inventory": ["released"], "orders": [], "invoices": []}
    assert flow.parked() == []


def test_services_that_are_killed_on_the_way_place_every_order_once(flow: Flow) -> None:
    sagas = [flow.place(flow.scene()) for _ in range(10)]
    for service in PUBLISHED:
        flow.processes[service].kill()
        flow.start(service)
    assert [flow.ended(saga)["status"] for saga in sagas] == ["placed"] * len(sagas)
    for saga in sagas:
        assert flow.kept(saga) == {
            "inventory": ["reserved"],
            "payments": ["209.97"],
            "orders": ["confirmed"],
            "invoices": ["issued"],
        }


def test_a_request_that_is_repeated_is_one_placement(flow: Flow) -> None:
    scene, saga = flow.scene(), str(uuid.uuid4())
    for _ in range(2):
        assert flow.place(scene, sagaId=saga) == saga
    other = flow.shop.call("orders", "POST", "/placements", {**scene.order(totalAmount="1.00"), "sagaId": saga})
    assert (other.status, other.body["type"]) == (422, "urn:kompensa:problem:saga-id-reused")
    assert flow.ended(saga)["status"] == "placed"
    assert flow.shop.call("orders", "GET", f"/placements/{uuid.uuid4()}").status == 404
