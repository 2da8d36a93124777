"""The amounts of an order (F5, S48)."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompensa_participant import Refused
from orders.domain.order import MOST, Line, Price, check, total_of

A, B = UUID(int=1), UUID(int=2)
PRICES = {A: Price(name="Mouse", unit_price=Decimal("29.99")), B: Price(name="Screen", unit_price=Decimal("149.99"))}
SEED = [
    Line(product_id=A, quantity=2, price=Decimal("29.99")),
    Line(product_id=B, quantity=1, price=Decimal("149.99")),
]


def test_the_order_of_the_seed_adds_up() -> None:
    assert total_of(SEED) == Decimal("209.97")
    check(SEED, Decimal("209.97"), PRICES)


def refusal(lines: list[Line], total: str) -> str:
    with pytest.raises(Refused) as refused:
        check(lines, Decimal(total), PRICES)
    assert refused.value.status == 422
    return refused.value.slug


def test_a_total_that_is_not_the_sum_is_refused() -> None:
    assert refusal(SEED, "209.96") == "total-mismatch"


def test_a_price_that_is_not_ours_is_refused() -> None:
    assert refusal([Line(product_id=A, quantity=1, price=Decimal("0.01"))], "0.01") == "price-mismatch"


def test_a_product_without_a_price_is_refused() -> None:
    unknown = Line(product_id=UUID(int=9), quantity=1, price=Decimal("1.00"))
    assert refusal([unknown], "1.00") == "unknown-product"


@pytest.mark.parametrize("quantity", [0, -2, MOST + 1])
def test_a_quantity_out_of_bounds_is_refused_even_if_the_total_fits(quantity: int) -> None:
    line = Line(product_id=A, quantity=quantity, price=Decimal("29.99"))
    assert refusal([line], str(total_of([line]))) == "invalid-quantity"


@given(st.lists(st.tuples(st.integers(1, MOST), st.decimals("0.01", "99999.99", places=2)), min_size=1, max_size=20))
def test_the_total_is_exact_to_the_cent(pieces: list[tuple[int, Decimal]]) -> None:
    lines = [Line(product_id=A, quantity=quantity, price=price) for quantity, price in pieces]
    cents = sum(quantity * int(price * 100) for quantity, price in pieces)
    assert total_of(lines) * 100 == cents
