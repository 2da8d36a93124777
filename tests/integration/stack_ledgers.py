"""The effects of sagas, read from the databases of a local stack's services by their own logins."""

from typing import Any

import psycopg
from psycopg.rows import dict_row

from kompensa_dev.stack import Stack


def rows(stack: Stack, service: str, query: str, *values: object) -> list[dict[str, Any]]:
    """Rows of a service's own database."""
    with psycopg.connect(stack.logins.owner(service).url, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def kept_of_saga(stack: Stack, saga: str) -> list[str]:
    """Effects of a saga that stand, one word each."""
    questions = {
        "reservation": ("inventory", "SELECT FROM inventory.reservations WHERE saga_id = %s AND status <> 'released'"),
        "payment": ("payments", "SELECT FROM payments.payments WHERE saga_id = %s AND captured > refunded"),
        "order": ("orders", "SELECT FROM orders.orders WHERE saga_id = %s AND status <> 'cancelled'"),
        "invoice": ("invoices", "SELECT FROM invoices.invoices WHERE saga_id = %s AND status <> 'cancelled'"),
    }
    return [thing for thing, (service, query) in questions.items() if rows(stack, service, query, saga)]


def totals(stack: Stack) -> dict[str, Any]:
    """Stock and money of everybody: what must be as before when nothing was kept."""
    stock = "SELECT catalog_product_id, on_hand, reserved, sold FROM inventory.stock ORDER BY catalog_product_id"
    money = "SELECT coalesce(sum(captured - refunded), 0) AS kept FROM payments.payments"
    balances = "SELECT id, balance FROM payments.payment_methods ORDER BY id"
    return {
        "stock": rows(stack, "inventory", stock),
        "money": rows(stack, "payments", money),
        "balances": rows(stack, "payments", balances),
    }
