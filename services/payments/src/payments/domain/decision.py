"""Whether a payment method pays."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Method:
    """A payment method. If `customer_id` is None, every customer may pay with it, as in a test shop."""

    customer_id: UUID | None
    balance: Decimal


def decline_reason(method: Method | None, *, customer_id: UUID, amount: Decimal) -> str | None:
    """Why a payment of `amount` is declined, or None if it is not. `method` is None for an unknown one."""
    if method is None:
        return "is not known"
    if method.customer_id not in (None, customer_id):
        return f"does not belong to customer {customer_id}"
    if method.balance < amount:
        return "has insufficient funds"
    return None
