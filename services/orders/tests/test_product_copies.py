"""The copy of products: what an order is checked against, and read-only (S18)."""

from __future__ import annotations

from orders.api.products import ProductCopy
from orders.app import service
from tests.support.shipped_copies import methods_below


def test_a_copy_has_what_an_order_is_checked_against_and_nothing_else() -> None:
    fields = {field.alias or name for name, field in ProductCopy.model_fields.items()}
    assert fields - {"sourceVersion", "syncedAt"} == {"catalogProductId", "name", "price", "currency", "status"}


def test_copies_can_only_be_read_and_prices_cannot_be_set() -> None:
    assert methods_below(service, "/products") == {"get"}
    assert not methods_below(service, "/prices")
