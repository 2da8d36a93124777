"""The two styles of placing the same order on a local stack, and what an order has left in the databases."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import Producer

from inventory.reactions import reactions as of_inventory
from invoices.reactions import reactions as of_invoices
from kompensa.manifests.documents import of_kind
from kompensa_dev.stack import Stack
from orders.reactions import reactions as of_orders
from payments.reactions import reactions as of_payments
from tests.integration.stack_ledgers import rows
from tests.support.http import call
from tests.support.shop import Shop
from tests.support.waiting import eventually

SECONDS = 120.0
PARTICIPANTS = ("inventory", "payments", "orders", "invoices")
STEPS = ("reserve-inventory", "process-payment", "create-order", "issue-invoice")
REACTING_TO = {topic for reactions in (of_inventory, of_invoices, of_orders, of_payments) for topic in reactions.topics}
HEADERS = {
    "id": "id",
    "event-type": "event_type",
    "event-version": "event_version",
    "aggregate-version": "aggregate_version",
    "saga-id": "saga_id",
    "traceparent": "traceparent",
}


@dataclass(frozen=True)
class Outcome:
    """How an order ended; `reason` is what is reported to the caller who placed it."""

    placed: bool
    reason: str = ""


class Style(Protocol):
    """One way to place an order."""

    @property
    def stack(self) -> Stack:
        """The system that runs."""

    def place(self, order: Mapping[str, Any], *, deadline_seconds: int = 300) -> str:
        """Begin, and return the saga's id."""

    def end(self, saga: str) -> Outcome | None:
        """How it ended, or None before that."""

    def is_undone(self, saga: str) -> bool:
        """Whether the order is on its way back, or has arrived there."""

    def place_with_duplicates(self, order: Mapping[str, Any]) -> str:
        """Place an order whose every step is asked for twice, and return when all of this has come to an end."""


@dataclass(frozen=True)
class Orchestrated:
    """A saga of the engine."""

    stack: Stack

    def place(self, order: Mapping[str, Any], *, deadline_seconds: int = 300) -> str:
        name = f"create-order-within-{deadline_seconds}-s"
        spec = self._spec()
        spec["deadline"] = f"{deadline_seconds}s"
        return self._start(name, spec, order)

    def is_undone(self, saga: str) -> bool:
        return self._view(saga)["phase"] in ("Compensating", "Compensated")

    def end(self, saga: str) -> Outcome | None:
        view = self._view(saga)
        if view["phase"] == "Succeeded":
            return Outcome(placed=True)
        return Outcome(placed=False, reason=view["message"]) if view["phase"] == "Compensated" else None

    def place_with_duplicates(self, order: Mapping[str, Any]) -> str:
        """Each step commits and answers 500 once, so that the engine asks again."""
        spec = self._spec()
        for step in spec["steps"]:
            step["action"]["http"]["headers"] = {"Kompensa-Fault": "fail-after-commit; status=500; attempts=1"}
            step.pop("probe", None)  # it would find out the outcome, and the engine would not call again
        saga = self._start("create-order-asked-twice", spec, order)
        ended(self, saga)
        return saga

    def _view(self, saga: str) -> dict[str, Any]:
        return dict(call("GET", f"{self.stack.ports.api_url}/v1/sagas/{saga}").ok())

    def _spec(self) -> dict[str, Any]:
        (document,) = [d for d in of_kind(self.stack.documents, "SagaDefinition") if d.name == "create-order"]
        return copy.deepcopy(dict(document.spec))

    def _start(self, name: str, spec: Mapping[str, Any], order: Mapping[str, Any]) -> str:
        root = f"{self.stack.ports.api_url}/v1/namespaces/shop"
        call("PUT", f"{root}/definitions/{name}", {"spec": dict(spec)}).ok()
        return str(call("POST", f"{root}/sagas", {"definition": name, "input": dict(order)}).ok()["id"])


@dataclass(frozen=True)
class Choreographed:
    """Services that react to each other."""

    stack: Stack

    def place(self, order: Mapping[str, Any], *, deadline_seconds: int = 300) -> str:
        body = {**order, "deadlineSeconds": deadline_seconds}
        return str(self._shop.call("orders", "POST", "/placements", body).ok()["sagaId"])

    def is_undone(self, saga: str) -> bool:
        return self._placement(saga)["status"] in ("undoing", "failed")

    def end(self, saga: str) -> Outcome | None:
        placement = self._placement(saga)
        if placement["status"] == "placed":
            return Outcome(placed=True) if sold(self.stack, saga) else None
        return Outcome(placed=False, reason=placement["detail"]) if placement["status"] == "failed" else None

    def place_with_duplicates(self, order: Mapping[str, Any]) -> str:
        """All events of the order are published a second time, as a connector may do after a crash."""
        saga = self.place(order)
        ended(self, saga)
        before = self._duplicates()
        sent = self._publish_again(saga)
        assert sent == len(STEPS) + 2
        eventually(
            self._duplicates, "the services to see each event again", is_right=lambda seen: seen == before + sent
        )
        return saga

    def _placement(self, saga: str) -> dict[str, Any]:
        return dict(self._shop.call("orders", "GET", f"/placements/{saga}").ok())

    @property
    def _shop(self) -> Shop:
        return shop_of(self.stack)

    def _publish_again(self, saga: str) -> int:
        """Publish every event of the order to which a service reacts, and return their number."""
        assert self.stack.kafka is not None
        producer = Producer({"bootstrap.servers": self.stack.kafka.bootstrap})
        sent = 0
        for service in PARTICIPANTS:
            for row in rows(self.stack, service, f"SELECT * FROM {service}.outbox WHERE saga_id = %s", saga):
                topic = f"{service}.{row['event_type']}"
                if topic in REACTING_TO:
                    headers = [(name, str(row[column]).encode()) for name, column in HEADERS.items() if row[column]]
                    producer.produce(topic, key=saga, value=json.dumps(row["payload"]), headers=list(headers))
                    sent += 1
        assert producer.flush(30) == 0
        return sent

    def _duplicates(self) -> int:
        """Events that a service has seen before, in all services."""
        counted = [self._shop.call(service, "GET", "/metrics").body for service in PARTICIPANTS]
        numbers = re.findall(
            r'^kompensa_reactions_total\{outcome="duplicate",[^}]*\} ([0-9.]+)$', "\n".join(counted), re.MULTILINE
        )
        return sum(int(float(number)) for number in numbers)


def shop_of(stack: Stack) -> Shop:
    """The shop as the back office sees it."""
    return Shop(stack.ports.urls, stack.callers.of_caller("backoffice").get)


def ended(style: Style, saga: str) -> Outcome:
    """Wait for the end of an order."""
    return eventually(lambda: style.end(saga), f"the end of order {saga}", seconds=SECONDS)


def sold(stack: Stack, saga: str) -> bool:
    """Whether the order's reservation has become a sale."""
    query = "SELECT FROM inventory.reservations WHERE saga_id = %s AND status = 'sold'"
    return bool(rows(stack, "inventory", query, saga))


EFFECTS = {
    "reservations": ("inventory", "SELECT status FROM inventory.reservations WHERE saga_id = %s"),
    "stock movements": (
        "inventory",
        "SELECT kind, sum(on_hand_change) AS on_hand, sum(reserved_change) AS reserved FROM inventory.stock_movements"
        " WHERE saga_id = %s GROUP BY kind ORDER BY kind",
    ),
    "payments": ("payments", "SELECT captured, refunded FROM payments.payments WHERE saga_id = %s"),
    "entries": ("payments", "SELECT kind FROM payments.entries WHERE saga_id = %s ORDER BY kind"),
    "orders": ("orders", "SELECT status, total_amount FROM orders.orders WHERE saga_id = %s"),
    "order's events": (
        "orders",
        "SELECT event_type, payload->>'paymentId' IS NOT NULL AS paid FROM orders.events"
        " WHERE saga_id = %s ORDER BY aggregate_version",
    ),
    "items": (
        "orders",
        "SELECT product_name, quantity, unit_price FROM orders.order_items i JOIN orders.orders o ON o.id = i.order_id"
        " WHERE saga_id = %s ORDER BY position",
    ),
    "invoices": ("invoices", "SELECT status, total_amount FROM invoices.invoices WHERE saga_id = %s"),
    "lines": (
        "invoices",
        "SELECT product_name, quantity, unit_price FROM invoices.invoice_items l JOIN invoices.invoices i"
        " ON i.id = l.invoice_id WHERE saga_id = %s ORDER BY position",
    ),
}


def effects_of(stack: Stack, saga: str) -> dict[str, list[Sequence[str]]]:
    """All that an order has left in the databases, without ids and times."""
    return {
        name: [[str(value) for value in row.values()] for row in rows(stack, service, query, saga)]
        for name, (service, query) in EFFECTS.items()
    }
