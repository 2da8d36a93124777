"""The content of an invoice: lines that add up, and a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from kompensa_participant import Refused

MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line. `name` is copied, so that an old invoice stays readable after the product has changed (S32)."""

    product_id: UUID
    name: str
    quantity: int
    unit_price: Decimal

    @property
    def total(self) -> Decimal:
        return self.unit_price * self.quantity


def check(lines: Sequence[Line], claimed_total: Decimal) -> None:
    """Accept the lines of an invoice.

    Raises
    ------
    Refused
        `invalid-quantity`, `total-mismatch`.
    """
    for line in lines:
        if not 1 <= line.quantity <= MOST:
            detail = f"product {line.product_id}: the quantity must be between 1 and {MOST}, not {line.quantity}"
            raise Refused("invalid-quantity", detail)
    total = sum((line.total for line in lines), Decimal(0))
    if total != claimed_total:
        raise Refused("total-mismatch", f"the items add up to {total:.2f}, not {claimed_total:.2f}")


def invoice_number(year: int, sequence: int) -> str:
    """E.g. INV-2026-00000042; unique because the sequence is. A transaction that fails leaves a gap."""
    return f"INV-{year}-{sequence:08d}"
