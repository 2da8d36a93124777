"""Whether a payment method pays."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from payments.domain.decision import Method, decline_reason

ANA, BOB = UUID(int=1), UUID(int=2)
AMOUNT = Decimal("209.97")


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        (Method(customer_id=None, balance=AMOUNT), None),
        (Method(customer_id=ANA, balance=Decimal("1000")), None),
        (None, "is not known"),
        (Method(customer_id=BOB, balance=AMOUNT), f"does not belong to customer {ANA}"),
        (Method(customer_id=ANA, balance=AMOUNT - Decimal("0.01")), "has insufficient funds"),
        (Method(customer_id=None, balance=Decimal(0)), "has insufficient funds"),
    ],
)
def test_a_method_pays_for_its_owner_up_to_its_balance(method: Method | None, reason: str | None) -> None:
    assert decline_reason(method, customer_id=ANA, amount=AMOUNT) == reason
