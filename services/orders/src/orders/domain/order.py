"""The amounts of an order: our own prices, and a total that is their sum (never the caller's)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from kompensa_participant import Refused

MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of an order: `price` is for one piece."""

    product_id: UUID
    quantity: int
    price: Decimal


@dataclass(frozen=True, kw_only=True)
class Price:
    """The price for one piece of a product."""

    name: str
    unit_price: Decimal


def total_of(lines: Sequence[Line]) -> Decimal:
    """The exact sum of price times quantity."""
    return sum((line.price * line.quantity for line in lines), Decimal(0))


def check(lines: Sequence[Line], claimed_total: Decimal, prices: Mapping[UUID, Price]) -> None:
    """Accept an order, or say the first thing that is wrong with it.

    Raises
    ------
    Refused
        `invalid-quantity`, `unknown-product`, `price-mismatch`, `total-mismatch`.
    """
    for line in lines:
        _check_line(line, prices.get(line.product_id))
    total = total_of(lines)
    if total != claimed_total:
        raise Refused("total-mismatch", f"the items add up to {total:.2f}, not {claimed_total:.2f}")


def _check_line(line: Line, ours: Price | None) -> None:
    if not 1 <= line.quantity <= MOST:
        detail = f"product {line.product_id}: the quantity must be between 1 and {MOST}, not {line.quantity}"
        raise Refused("invalid-quantity", detail)
    if ours is None:
        raise Refused("unknown-product", f"product {line.product_id} has no price here")
    if ours.unit_price != line.price:
        detail = f"product {line.product_id} costs {ours.unit_price:.2f}, not {line.price:.2f}"
        raise Refused("price-mismatch", detail)
