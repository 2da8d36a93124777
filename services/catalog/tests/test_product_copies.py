"""Every product that catalog accepts is accepted by the shipped copies: no event is parked for its form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog.api.products import ProductForm
from catalog.domain.product import changed_payload, deleted_payload
from kompensa_cdc.event_schema import payload_check
from kompensa_consumer import Event, PoisonError
from tests.support.shipped_copies import event_of, schemas_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOPIC = "catalog.product-created"
PRODUCT = UUID(int=1)
MOUSE = {"name": "Mouse", "description": "", "price": "29.99", "currency": "BRL", "status": "active"}
of_every_copy = pytest.mark.parametrize("schema", schemas_of(TOPIC))


def event(payload: dict[str, Any]) -> Event:
    return event_of(TOPIC, payload, key=PRODUCT)


def forms() -> st.SearchStrategy[dict[str, Any]]:
    """Near what is accepted: one field is anything, the others are those of the mouse."""
    prices = st.decimals(0, Decimal("9999999999.99"), places=2).map(str) | st.integers(0, 10**11).map(str)
    fields = {
        "name": st.text(max_size=201),
        "description": st.text(max_size=50),
        "price": prices,
        "currency": st.text("ABCé", max_size=4),
        "status": st.sampled_from(["active", "withdrawn", "sold-out"]),
    }
    return st.one_of(*(values.map(_changing(name)) for name, values in fields.items()))


def _changing(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {**MOUSE, name: value}


@of_every_copy
@given(form=forms())
@example(form={**MOUSE, "price": "9999999999.99"})
@example(form={**MOUSE, "price": "1"})
@example(form={**MOUSE, "name": "é" * 200})
def test_every_product_that_is_accepted_fits_every_copy(schema: dict[str, Any], form: dict[str, Any]) -> None:
    try:
        state = ProductForm.model_validate(form).state()
    except ValidationError:
        assume(False)
    payload_check(schema)(event(changed_payload(PRODUCT, state, created_at=NOON, updated_at=NOON)))


@of_every_copy
def test_a_deletion_fits_every_copy(schema: dict[str, Any]) -> None:
    payload_check(schema)(event(deleted_payload(PRODUCT, deleted_at=NOON)))


@of_every_copy
@pytest.mark.parametrize("name", [None, 1, "", "x" * 201])
def test_a_name_that_the_copys_column_cannot_hold_does_not_fit(schema: dict[str, Any], name: object) -> None:
    with pytest.raises(PoisonError, match="name does not fit"):
        payload_check(schema)(event({"productId": str(PRODUCT), "name": name}))
