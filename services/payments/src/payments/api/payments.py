"""The saga's step process-payment and its compensation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from kompensa_participant import Action, Compensation, Database, Message, Money, SagaReference
from payments.adapters import payments

router = APIRouter(prefix="/payments", tags=["saga"])


class Pay(Message):
    saga_id: UUID
    customer_id: UUID
    amount: Annotated[Money, Field(gt=0)]
    payment_method_id: Annotated[str, Field(min_length=1, max_length=64, examples=["pm-abc"])]


class Paid(Message):
    payment_id: UUID


class Payment(Message):
    """`refunded` is never above `captured`."""

    id: UUID
    saga_id: UUID
    customer_id: UUID
    payment_method_id: str
    captured: Money
    refunded: Money
    created_at: datetime


@router.post("", status_code=201, responses={201: {"model": Paid}})
async def pay(body: Pay, action: Action) -> Response:
    """Take the money, or refuse: 422 payment-declined, customer-deleted; 503 customer-not-copied while the copy of the
    customer's payment methods is on its way."""
    return await action.once(
        lambda tx: payments.capture(
            tx, action.saga_id, customer_id=body.customer_id, amount=body.amount, method_id=body.payment_method_id
        ),
        status=201,
        effect="Payment {paymentId} captured",
    )


@router.post("/refund")
async def refund(_: SagaReference, compensation: Compensation) -> Response:
    """Give the money back."""
    return await compensation.once(
        lambda tx, paid: payments.refund(tx, compensation.saga_id, UUID(paid["paymentId"])),
        effect="Payment {paymentId} refunded",
    )


@router.get("")
async def of_saga(saga_id: Annotated[UUID, Query(alias="sagaId")], database: Database) -> list[Payment]:
    """Return the payments of one saga, none if it has made none."""
    return [Payment(**row) for row in await payments.of_saga(database, saga_id)]
