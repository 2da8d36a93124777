"""The copy of products: their names, and read-only (S18)."""

from __future__ import annotations

from inventory.api.products import ProductCopy
from inventory.app import service
from tests.support.shipped_copies import methods_below


def test_a_copy_has_the_name_and_nothing_else() -> None:
    fields = {field.alias or name for name, field in ProductCopy.model_fields.items()}
    assert fields - {"sourceVersion", "syncedAt"} == {"catalogProductId", "name"}


def test_copies_can_only_be_read() -> None:
    assert methods_below(service, "/products") == {"get"}
