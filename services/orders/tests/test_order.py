"""The amounts of an order (F5, S48)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompensa_participant import Refused
from orders.domain.order import CURRENCY, MOST, Line, Product, check, total_of

A, B = UUID(int=1), UUID(int=2)
MOUSE = Product(name="Mouse", price=Decimal("29.99"), currency=CURRENCY, status="active")
PRODUCTS = {A: MOUSE, B: replace(MOUSE, name="Screen", price=Decimal("149.99"))}
SEED = [
    Line(product_id=A, quantity=2, price=Decimal("29.99")),
    Line(product_id=B, quantity=1, price=Decimal("149.99")),
]


def test_the_order_of_the_seed_adds_up() -> None:
    assert total_of(SEED) == Decimal("209.97")
    check(SEED, Decimal("209.97"), PRODUCTS)


def refusal(lines: list[Line], total: str, *, mouse: Product = MOUSE) -> str:
    with pytest.raises(Refused) as refused:
        check(lines, Decimal(total), {**PRODUCTS, A: mouse})
    assert refused.value.status == 422
    return refused.value.slug


def test_a_total_that_is_not_the_sum_is_refused() -> None:
    assert refusal(SEED, "209.96") == "total-mismatch"


def test_a_price_that_is_not_ours_is_refused() -> None:
    assert refusal([Line(product_id=A, quantity=1, price=Decimal("0.01"))], "0.01") == "price-mismatch"


@pytest.mark.parametrize(
    ("mouse", "slug"),
    [
        (replace(MOUSE, status="withdrawn"), "product-withdrawn"),
        (replace(MOUSE, status="sold-out"), "product-withdrawn"),
        (replace(MOUSE, status="deleted"), "product-deleted"),
        (replace(MOUSE, currency="USD"), "currency-mismatch"),
    ],
)
def test_a_product_that_is_not_on_sale_here_is_refused(mouse: Product, slug: str) -> None:
    assert refusal(SEED, "209.97", mouse=mouse) == slug


@pytest.mark.parametrize("quantity", [0, -2, MOST + 1])
def test_a_quantity_out_of_bounds_is_refused_even_if_the_total_fits(quantity: int) -> None:
    line = Line(product_id=A, quantity=quantity, price=Decimal("29.99"))
    assert refusal([line], str(total_of([line]))) == "invalid-quantity"


@given(st.lists(st.tuples(st.integers(1, MOST), st.decimals("0.01", "99999.99", places=2)), min_size=1, max_size=20))
def test_the_total_is_exact_to_the_cent(pieces: list[tuple[int, Decimal]]) -> None:
    lines = [Line(product_id=A, quantity=quantity, price=price) for quantity, price in pieces]
    cents = sum(quantity * int(price * 100) for quantity, price in pieces)
    assert total_of(lines) * 100 == cents
