"""Whether a payment method pays."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal


def decline_reason(
    *, method_id: str, methods_of_customer: Collection[str], balance: Decimal, amount: Decimal
) -> str | None:
    """Why a payment of `amount` is declined, or None if it is not. Only the customer's own methods pay."""
    if method_id not in methods_of_customer:
        return "does not belong to this customer"
    if balance < amount:
        return "has insufficient funds"
    return None
