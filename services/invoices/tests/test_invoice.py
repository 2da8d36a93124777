"""The content of an invoice, and the customers that it can be made out to."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from invoices.domain.document import billable
from invoices.domain.invoice import Line, check, invoice_number
from kompensa_participant import Refused


def line(quantity: int, price: str) -> Line:
    return Line(product_id=UUID(int=1), name="Mouse", quantity=quantity, unit_price=Decimal(price))


@pytest.mark.parametrize("document", ["12345678901", "123.456.789-01", "12345678000190"])
def test_a_cpf_or_a_cnpj_is_billable(document: str) -> None:
    assert billable(document)


@pytest.mark.parametrize("document", ["P1234567", "", "1234567890", "123456789012", "1234567890A", "١٢٣٤٥٦٧٨٩٠١"])
def test_nothing_else_is(document: str) -> None:
    assert not billable(document)


def test_lines_that_add_up_are_accepted() -> None:
    check([line(2, "29.99"), line(1, "149.99")], Decimal("209.97"))


@pytest.mark.parametrize(
    ("quantity", "total", "slug"),
    [(1, "29.98", "total-mismatch"), (0, "0.00", "invalid-quantity"), (-1, "-29.99", "invalid-quantity")],
)
def test_lines_that_do_not_are_refused(quantity: int, total: str, slug: str) -> None:
    with pytest.raises(Refused) as refused:
        check([line(quantity, "29.99")], Decimal(total))
    assert refused.value.slug == slug


def test_numbers_carry_the_year_and_sort_as_they_were_given() -> None:
    numbers = [invoice_number(2026, n) for n in (9, 10, 100)]
    assert numbers == sorted(numbers)
    assert numbers[0] == "INV-2026-00000009"
