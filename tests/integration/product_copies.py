"""Copies of products as the replica workers of orders and inventory write them, with the service's own login."""

from __future__ import annotations

import psycopg

from tests.integration.conftest_participants import Participant

_COPY = """
INSERT INTO orders.products (catalog_product_id, name, price, currency, status, source_version, synced_at)
VALUES (%(id)s, %(name)s, %(price)s, %(currency)s, %(status)s, 1, now())
ON CONFLICT (catalog_product_id) DO UPDATE
   SET name = excluded.name, price = excluded.price, currency = excluded.currency, status = excluded.status
"""


def copy_to_orders(
    orders: Participant, product: str, name: str, price: str, *, currency: str = "BRL", status: str = "active"
) -> None:
    """Write the copy of one product, or overwrite it with a newer state."""
    with psycopg.connect(orders.login.url) as connection:
        connection.execute(_COPY, {"id": product, "name": name, "price": price, "currency": currency, "status": status})


def delete_at_orders(orders: Participant, product: str) -> None:
    """Mark the copy as deleted."""
    with psycopg.connect(orders.login.url) as connection:
        connection.execute("UPDATE orders.products SET deleted_at = now() WHERE catalog_product_id = %s", (product,))


def copy_to_inventory(inventory: Participant, product: str, name: str) -> None:
    """Write the copy of one product."""
    with psycopg.connect(inventory.login.url) as connection:
        connection.execute(
            "INSERT INTO inventory.products (catalog_product_id, name, source_version, synced_at)"
            " VALUES (%s, %s, 1, now())",
            (product, name),
        )
