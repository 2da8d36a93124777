"""The copy of products: what an order is checked against, and read-only (S18)."""

from __future__ import annotations

from kompensa_participant.settings import Settings
from orders.api.products import ProductCopy
from orders.app import service


def test_a_copy_has_what_an_order_is_checked_against_and_nothing_else() -> None:
    fields = {field.alias or name for name, field in ProductCopy.model_fields.items()}
    assert fields - {"sourceVersion", "syncedAt"} == {"catalogProductId", "name", "price", "currency", "status"}


def test_copies_can_only_be_read_and_prices_cannot_be_set() -> None:
    described = service.app(Settings(database_url="postgresql://nowhere")).openapi()["paths"]
    methods = {
        method for path, operations in described.items() if path.startswith("/products") for method in operations
    }
    assert methods == {"get"}
    assert not [path for path in described if path.startswith("/prices")]
