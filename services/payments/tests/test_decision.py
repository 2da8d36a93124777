"""Whether a payment method pays."""

from __future__ import annotations

from decimal import Decimal

import pytest

from payments.domain.decision import decline_reason

AMOUNT = Decimal("209.97")
BELOW = AMOUNT - Decimal("0.01")


@pytest.mark.parametrize(
    ("methods", "balance", "reason"),
    [
        (["pm-abc"], AMOUNT, None),
        (["pm-other", "pm-abc"], Decimal(1000), None),
        ([], AMOUNT, "does not belong to this customer"),
        (["pm-other"], AMOUNT, "does not belong to this customer"),
        (["pm-abc"], BELOW, "has insufficient funds"),
        (["pm-abc"], Decimal(0), "has insufficient funds"),
    ],
)
def test_a_method_pays_for_its_owner_up_to_its_balance(
    methods: list[str], balance: Decimal, reason: str | None
) -> None:
    found = decline_reason(method_id="pm-abc", methods_of_customer=methods, balance=balance, amount=AMOUNT)
    assert found == reason
