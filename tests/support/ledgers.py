"""From the shop's tables to the plain rows that the invariants look at.

One reader for both worlds: `rows(service, query)` may ask pods of a cluster or local databases.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.support.invariants import Effect, Entry, Ledgers, Operation, Stock

Rows = Callable[[str, str], list[dict[str, Any]]]

PARTICIPANTS = ("inventory", "payments", "orders", "invoices")

EFFECTS = {
    "reservation": (
        "inventory",
        "SELECT saga_id, status <> 'released' AS standing, 0 AS amount FROM inventory.reservations",
    ),
    "payment": (
        "payments",
        "SELECT saga_id, captured > refunded AS standing, captured AS amount FROM payments.payments",
    ),
    "order": ("orders", "SELECT saga_id, status <> 'cancelled' AS standing, total_amount AS amount FROM orders.orders"),
    "invoice": (
        "invoices",
        "SELECT saga_id, status <> 'cancelled' AS standing, total_amount AS amount FROM invoices.invoices",
    ),
}
STOCK = """
    SELECT catalog_product_id AS product_id, on_hand, reserved, sold,
           (SELECT coalesce(sum(on_hand_change), 0) FROM inventory.stock_movements m
             WHERE m.catalog_product_id = s.catalog_product_id AND kind = 'count') AS counted
      FROM inventory.stock s
"""
MONEY = """
    SELECT coalesce(sum(captured), 0)::text AS captured, coalesce(sum(refunded), 0)::text AS refunded
      FROM payments.payments
"""
ENTRIES = {
    "payments": "SELECT saga_id, kind FROM payments.entries",
    "inventory": "SELECT saga_id, kind, catalog_product_id AS product_id, count(*) AS n FROM inventory.stock_movements"
    " WHERE saga_id IS NOT NULL GROUP BY saga_id, kind, catalog_product_id",
}
PLACEMENTS = "SELECT saga_id, status FROM orders.placements"
PHASES = {"running": "Running", "undoing": "Compensating", "placed": "Succeeded", "failed": "Compensated"}
"""The phase of a saga that is as far as a placement with this status."""
OPERATIONS = "SELECT saga_id, step, direction, state, created_at FROM {service}.operations"
AUTHORITY = """
    SELECT id, email, document, full_name, coalesce(phone, '') AS phone, shipping_address, billing_address,
           payment_methods, version
      FROM orders.customers WHERE deleted_at IS NULL
"""
COPIES = {
    "invoices": "SELECT orders_customer_id, email, document, full_name, billing_address, source_version AS version"
    " FROM invoices.customers WHERE deleted_at IS NULL",
    "shipping": "SELECT orders_customer_id, email, full_name, phone, shipping_address, source_version AS version"
    " FROM shipping.customers WHERE deleted_at IS NULL",
    "payments": "SELECT orders_customer_id, payment_methods, source_version AS version"
    " FROM payments.customers WHERE deleted_at IS NULL",
}


def read(rows: Rows, phases: Mapping[str, str], orders: Collection[str]) -> Ledgers:
    """Everything the invariants need. `phases` says how each saga ended, by id; `orders` which of them place one."""
    money = rows("payments", MONEY)[0]
    return Ledgers(
        phases=phases,
        orders=orders,
        stock=[_stock(row) for row in rows("inventory", STOCK)],
        captured=Decimal(money["captured"]),
        refunded=Decimal(money["refunded"]),
        effects=[effect for kind in EFFECTS for effect in _effects(rows, kind)],
        entries=list(_entries(rows)),
        operations=[operation for service in PARTICIPANTS for operation in _operations(rows, service)],
        authority=_by_key(rows("orders", AUTHORITY), "id"),
        copies={name: _by_key(rows(name, query), "orders_customer_id") for name, query in COPIES.items()},
    )


def phases_of_placements(rows: Rows) -> dict[str, str]:
    """How each order that was placed by events has ended, by saga: the engine does not know them."""
    return {str(row["saga_id"]): PHASES[row["status"]] for row in rows("orders", PLACEMENTS)}


def _stock(row: Mapping[str, Any]) -> Stock:
    return Stock(
        product_id=row["product_id"],
        initial=row["counted"],
        on_hand=row["on_hand"],
        reserved=row["reserved"],
        sold=row["sold"],
    )


def _effects(rows: Rows, kind: str) -> Iterable[Effect]:
    service, query = EFFECTS[kind]
    for row in rows(service, query):
        yield Effect(
            saga_id=str(row["saga_id"]), kind=kind, standing=row["standing"], amount=Decimal(str(row["amount"]))
        )


def _entries(rows: Rows) -> Iterable[Entry]:
    for row in rows("payments", ENTRIES["payments"]):
        yield Entry(saga_id=str(row["saga_id"]), kind=row["kind"])
    for row in rows("inventory", ENTRIES["inventory"]):
        kind = f"{row['kind']} of {row['product_id']}"
        yield from [Entry(saga_id=str(row["saga_id"]), kind=kind)] * int(row["n"])


def _operations(rows: Rows, service: str) -> Iterable[Operation]:
    for row in rows(service, OPERATIONS.format(service=service)):
        at = row["created_at"]
        yield Operation(
            saga_id=str(row["saga_id"]),
            step=row["step"],
            direction=row["direction"],
            state=row["state"],
            at=at if isinstance(at, datetime) else datetime.fromisoformat(at),
        )


def _by_key(rows: Iterable[Mapping[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {str(row[key]): {name: value for name, value in row.items() if name != key} for row in rows}
