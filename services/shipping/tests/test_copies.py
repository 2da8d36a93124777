"""The copy of customers: what a courier needs, and read-only (S18, S21)."""

from __future__ import annotations

from shipping.api.customers import CustomerCopy
from shipping.app import service
from tests.support.shipped_copies import methods_below


def test_a_copy_has_what_a_courier_needs_and_nothing_else() -> None:
    fields = {field.alias or name for name, field in CustomerCopy.model_fields.items()}
    bookkeeping = {"sourceVersion", "syncedAt"}
    assert fields - bookkeeping == {"id", "ordersCustomerId", "email", "fullName", "phone", "shippingAddress"}


def test_copies_can_only_be_read() -> None:
    assert methods_below(service, "/customers") == {"get"}
