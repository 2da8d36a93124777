"""The copy of customers: their payment methods, and read-only (S18, S77)."""

from __future__ import annotations

from payments.api.customers import CustomerCopy
from payments.app import service
from tests.support.shipped_copies import methods_below


def test_a_copy_has_the_payment_methods_and_nothing_else() -> None:
    fields = {field.alias or name for name, field in CustomerCopy.model_fields.items()}
    assert fields - {"sourceVersion", "syncedAt"} == {"ordersCustomerId", "paymentMethods"}


def test_copies_can_only_be_read() -> None:
    assert methods_below(service, "/customers") == {"get"}
