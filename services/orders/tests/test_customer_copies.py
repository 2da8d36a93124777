"""Every customer that orders accepts is accepted by the shipped copies: no event is parked for its form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from kompensa_cdc.event_schema import payload_check
from kompensa_consumer import Event, PoisonError
from orders.api.customers import CustomerForm
from orders.domain.customer import changed_payload, deleted_payload
from tests.support.shipped_copies import event_of, schemas_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TOPIC = "orders.customer-created"
CUSTOMER = UUID(int=1)
ADDRESS = {"street": "Rua", "number": "42", "city": "São Paulo", "state": "SP", "zipCode": "1", "country": "BR"}
ANA = {
    "email": "ana@example.com",
    "document": "12345678901",
    "fullName": "Ana Souza",
    "shippingAddress": ADDRESS,
    "billingAddress": ADDRESS,
}
of_every_copy = pytest.mark.parametrize("schema", schemas_of(TOPIC))


def event(payload: dict[str, Any]) -> Event:
    return event_of(TOPIC, payload, key=CUSTOMER)


def text(longest: int) -> st.SearchStrategy[str]:
    """Of any length, the bounds and a little beyond them included."""
    return st.text(max_size=longest + 1) | st.sampled_from("aé\x00 ").map(lambda letter: letter * longest)


def addresses() -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({name: text(200 if name in ("street", "city") else 50) for name in ADDRESS})


def emails() -> st.SearchStrategy[str]:
    local = st.text(min_size=1, max_size=80)
    domain = st.lists(st.text(min_size=1, max_size=70), min_size=2, max_size=3).map(".".join)
    return st.builds("{}@{}".format, local, domain) | st.just("x@example." + "a" * 245)


def forms() -> st.SearchStrategy[dict[str, Any]]:
    """Near what is accepted: one field is anything, the others are Ana's."""
    documents = st.text("aZ0./-é", max_size=15)
    fields = {
        "email": emails(),
        "document": documents,
        "fullName": text(200),
        "phone": st.none() | text(30),
        "shippingAddress": addresses(),
        "billingAddress": addresses(),
    }
    return st.one_of(*(form_with(name, values) for name, values in fields.items()))


def form_with(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return values.map(lambda value: {**ANA, name: value})


@of_every_copy
@given(form=forms())
@example(form={**ANA, "email": "josé.x@exemplo.com.br"})
@example(form={**ANA, "email": "ana..x@example.com"})
@example(form={**ANA, "email": "x@exa_mple.com"})
@example(form={**ANA, "email": f"{'x' * 65}@example.com"})
@example(form={**ANA, "phone": None})
def test_every_customer_that_is_accepted_fits_every_copy(schema: dict[str, Any], form: dict[str, Any]) -> None:
    try:
        state = CustomerForm.model_validate(form).state()
    except ValidationError:
        assume(False)
    payload_check(schema)(event(changed_payload(CUSTOMER, state, created_at=NOON, updated_at=NOON)))


@of_every_copy
def test_a_deletion_fits_every_copy(schema: dict[str, Any]) -> None:
    payload_check(schema)(event(deleted_payload(CUSTOMER, deleted_at=NOON)))


@of_every_copy
@pytest.mark.parametrize("email", [None, 1, "x" * 256])
def test_what_the_copys_column_cannot_hold_does_not_fit(schema: dict[str, Any], email: object) -> None:
    with pytest.raises(PoisonError, match="email does not fit"):
        payload_check(schema)(event({"customerId": str(CUSTOMER), "email": email}))
