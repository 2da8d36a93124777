"""Customers: this service is their authority, every other holds a copy."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from kompensa_participant import After, Database, Form, IfMatch, Limit, entity_tag, matched_versions
from orders.adapters import customers
from orders.domain.customer import CustomerState

router = APIRouter(prefix="/customers", tags=["customers"])

Text = Annotated[str, Field(min_length=1, max_length=200)]
Short = Annotated[str, Field(min_length=1, max_length=50)]


class Address(Form):
    street: Annotated[Text, Field(examples=["Rua das Flores"])]
    number: Annotated[Short, Field(examples=["42"])]
    city: Annotated[Text, Field(examples=["São Paulo"])]
    state: Annotated[Short, Field(examples=["SP"])]
    zip_code: Annotated[Short, Field(examples=["01000-000"])]
    country: Annotated[Short, Field(examples=["BR"])]


class PaymentMethod(Form):
    """A reference to a payment method. There is no field for a card's number, so none can be stored."""

    id: Annotated[str, Field(min_length=1, max_length=64, examples=["pm-abc"])]
    type: Literal["credit_card", "debit_card", "pix"]
    last_four_digits: Annotated[str, Field(pattern=r"^[0-9]{4}$", examples=["4242"])] | None = None
    expiry_date: Annotated[str, Field(max_length=10, examples=["2030-12"])] | None = None


class CustomerForm(Form):
    """A customer's whole state. `document` is whatever identifies the person, a passport too."""

    email: Annotated[str, Field(max_length=255, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", examples=["ana@example.com"])]
    document: Annotated[str, Field(max_length=14, pattern=r"^[A-Za-z0-9./-]+$", examples=["12345678901"])]
    full_name: Annotated[Text, Field(examples=["Ana Souza"])]
    phone: Annotated[str, Field(min_length=1, max_length=30, examples=["+55 11 99999-0000"])] | None = None
    shipping_address: Address
    billing_address: Address
    payment_methods: Annotated[list[PaymentMethod], Field(max_length=20, default_factory=list)]

    def state(self) -> CustomerState:
        plain = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return CustomerState(
            email=self.email,
            document=self.document,
            full_name=self.full_name,
            phone=self.phone,
            shipping_address=plain["shippingAddress"],
            billing_address=plain["billingAddress"],
            payment_methods=plain["paymentMethods"],
        )


class Customer(CustomerForm):
    """A customer with what the service adds. `version` counts the changes, from 1."""

    id: UUID
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: customers.Row) -> Customer:
        return cls(**{name: value for name, value in row.items() if name != "deleted_at"})


@router.post("", status_code=201)
async def create(body: CustomerForm, database: Database, response: Response) -> Customer:
    """Register a customer; the copies at other services follow by an event."""
    return _tagged(await customers.create(database, body.state()), response)


@router.get("")
async def listing(database: Database, limit: Limit = 100, after: After = None) -> list[Customer]:
    """Return up to `limit` customers in the order of their ids, from the one after `after`."""
    return [Customer.of(row) for row in await customers.page(database, limit=limit, after=after)]


@router.get("/{customer_id}")
async def get(customer_id: UUID, database: Database, response: Response) -> Customer:
    """One customer. The ETag is its version in quotes."""
    return _tagged(await customers.find(database, customer_id), response)


@router.put("/{customer_id}")
async def replace(
    customer_id: UUID, body: CustomerForm, database: Database, response: Response, if_match: IfMatch = None
) -> Customer:
    """Replace a customer's whole state. With If-Match only the one that was read; without, the last write wins."""
    return _tagged(await customers.update(database, customer_id, body.state(), matched_versions(if_match)), response)


@router.delete("/{customer_id}", status_code=204)
async def delete(customer_id: UUID, database: Database, if_match: IfMatch = None) -> None:
    """Forget a customer: personal fields are blanked here and, by an event, in the copies. Orders stay."""
    await customers.delete(database, customer_id, matched_versions(if_match))


def _tagged(row: customers.Row, response: Response) -> Customer:
    response.headers["ETag"] = entity_tag(row["version"])
    return Customer.of(row)
