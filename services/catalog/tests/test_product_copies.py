"""Every product that catalog accepts is accepted by the shipped copies: no event is parked for its form."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from confluent_kafka import Message
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog.api.products import ProductForm
from catalog.domain.product import changed_payload, deleted_payload
from kompensa_cdc.events import Event, PoisonError, decode, payload_check

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MANIFEST = Path(__file__).parents[3] / "manifests/shop/replicas.yaml"
MOUSE = {"name": "Mouse", "description": "", "price": "29.99", "currency": "BRL", "status": "active"}
REPLICAS = [
    replica
    for replica in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    if "catalog.product-created" in replica["spec"]["source"]["topics"]
]
of_every_copy = pytest.mark.parametrize(
    "schema", [pytest.param(replica["spec"]["eventSchema"], id=replica["metadata"]["name"]) for replica in REPLICAS]
)


def event(payload: dict[str, Any]) -> Event:
    """The payload as the worker of a copy finds it in the topic."""
    read = decode(
        Message(
            topic="catalog.product-created",
            partition=0,
            offset=0,
            key=payload["productId"].encode(),
            value=json.dumps(payload).encode(),
            headers=[("event-type", b"product-created"), ("aggregate-version", b"1")],
            timestamp=(1, 1_700_000_000_000),
        )
    )
    assert isinstance(read, Event), read
    return read


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
    payload_check(schema)(event(changed_payload(UUID(int=1), state, created_at=NOON, updated_at=NOON)))


@of_every_copy
def test_a_deletion_fits_every_copy(schema: dict[str, Any]) -> None:
    payload_check(schema)(event(deleted_payload(UUID(int=1), deleted_at=NOON)))


@of_every_copy
@pytest.mark.parametrize("name", [None, 1, "", "x" * 201])
def test_a_name_that_the_copys_column_cannot_hold_does_not_fit(schema: dict[str, Any], name: object) -> None:
    with pytest.raises(PoisonError, match="name does not fit"):
        payload_check(schema)(event({"productId": str(UUID(int=1)), "name": name}))
