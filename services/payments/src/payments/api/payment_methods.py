"""Payment methods: a token and a balance, never card data."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from kompensa_participant import Database, Form, Message, Money, Problem
from payments.adapters import methods

router = APIRouter(prefix="/payment-methods", tags=["payment methods"])

MethodId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["pm-abc"])]


class Balance(Form):
    """The balance, and the customer that it belongs to; without one, every customer may pay with it."""

    customer_id: UUID | None = None
    balance: Money


class PaymentMethod(Message):
    id: str
    customer_id: UUID | None
    balance: Money


@router.put("/{method_id}")
async def put(method_id: MethodId, body: Balance, database: Database) -> PaymentMethod:
    """Set the balance of a payment method; it is created if it is not there."""
    await methods.put(database, method_id, body.customer_id, body.balance)
    return await get(method_id, database)


@router.get("/{method_id}")
async def get(method_id: MethodId, database: Database) -> PaymentMethod:
    """Return the balance of one payment method; 404 unknown-payment-method."""
    row = await methods.find(database, method_id)
    if row is None:
        raise Problem(404, "unknown-payment-method", f"payment method {method_id} is not known")
    return PaymentMethod(**row)
