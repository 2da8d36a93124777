"""The items of a reservation are checked and ordered."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.domain.reservation import MOST, wanted
from kompensa_participant import Refused

A, B = UUID(int=1), UUID(int=2)


def test_a_product_that_comes_twice_is_asked_for_once() -> None:
    assert wanted([(A, 2), (B, 1), (A, 3)]) == [(A, 5), (B, 1)]


@given(st.lists(st.tuples(st.uuids(), st.integers(1, MOST)), max_size=20))
def test_products_come_in_one_order_whatever_the_order_of_the_items(items: list[tuple[UUID, int]]) -> None:
    assert wanted(items) == wanted(items[::-1]) == sorted(wanted(items))


@pytest.mark.parametrize("quantity", [0, -1, MOST + 1])
def test_a_quantity_out_of_bounds_is_refused(quantity: int) -> None:
    with pytest.raises(Refused) as refused:
        wanted([(A, 1), (B, quantity)])
    assert (refused.value.slug, refused.value.status) == ("invalid-quantity", 422)
    assert str(B) in refused.value.detail
