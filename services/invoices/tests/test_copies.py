"""The copy of customers: what an invoice needs, and read-only (S18, S20)."""

from __future__ import annotations

from invoices.api.customers import CustomerCopy
from invoices.app import service
from tests.support.shipped_copies import methods_below


def test_a_copy_has_what_an_invoice_needs_and_nothing_else() -> None:
    fields = {field.alias or name for name, field in CustomerCopy.model_fields.items()}
    bookkeeping = {"sourceVersion", "syncedAt"}
    assert fields - bookkeeping == {"id", "ordersCustomerId", "email", "document", "fullName", "billingAddress"}


def test_copies_can_only_be_read() -> None:
    assert methods_below(service, "/customers") == {"get"}
