"""The money behind payment methods, never card data. Whose a method is, orders decides: see customers.py."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from kompensa_participant import Database, Form, Message, Money, Problem
from payments.adapters import methods

router = APIRouter(prefix="/payment-methods", tags=["payment methods"])

MethodId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["pm-abc"])]


class Balance(Form):
    """The money that a payment method can still pay."""

    balance: Money


class PaymentMethod(Message):
    id: str
    balance: Money


@router.put("/{method_id}")
async def put(method_id: MethodId, body: Balance, database: Database) -> PaymentMethod:
    """Set the balance of a payment method. Only customers who have it at orders can pay with it."""
    await methods.put(database, method_id, body.balance)
    return await get(method_id, database)


@router.get("/{method_id}")
async def get(method_id: MethodId, database: Database) -> PaymentMethod:
    """Return the balance of one payment method; 404 unknown-payment-method."""
    row = await methods.find(database, method_id)
    if row is None:
        raise Problem(404, "unknown-payment-method", f"payment method {method_id} is not known")
    return PaymentMethod(**row)
