"""The copy of customers: their payment methods, and read-only (S18, S77)."""

from __future__ import annotations

from kompensa_participant.settings import Settings
from payments.api.customers import CustomerCopy
from payments.app import service


def test_a_copy_has_the_payment_methods_and_nothing_else() -> None:
    fields = {field.alias or name for name, field in CustomerCopy.model_fields.items()}
    assert fields - {"sourceVersion", "syncedAt"} == {"ordersCustomerId", "paymentMethods"}


def test_copies_can_only_be_read() -> None:
    described = service.app(Settings(database_url="postgresql://nowhere")).openapi()["paths"]
    methods = {
        method for path, operations in described.items() if path.startswith("/customers") for method in operations
    }
    assert methods == {"get"}
