"""The amounts of an order: the catalog's prices, and a total that is their sum (never the caller's)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from kompensa_participant import Refused

MOST = 1_000_000
CURRENCY = "BRL"
"""Of all orders: amounts in two currencies have no sum."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of an order: `price` is for one piece."""

    product_id: UUID
    quantity: int
    price: Decimal


@dataclass(frozen=True, kw_only=True)
class Product:
    """A product of the catalog: the price for one piece, and whether it can be ordered (only if `status` is active)."""

    name: str
    price: Decimal
    currency: str
    status: str


def total_of(lines: Sequence[Line]) -> Decimal:
    """The exact sum of price times quantity."""
    return sum((line.price * line.quantity for line in lines), Decimal(0))


def check(lines: Sequence[Line], claimed_total: Decimal, products: Mapping[UUID, Product]) -> None:
    """Accept an order, or say the first thing that is wrong with it. `products` has every product of the lines.

    Raises
    ------
    Refused
        `invalid-quantity`, `product-withdrawn`, `product-deleted`, `currency-mismatch`, `price-mismatch`,
        `total-mismatch`.
    """
    for line in lines:
        _check_line(line, products[line.product_id])
    total = total_of(lines)
    if total != claimed_total:
        raise Refused("total-mismatch", f"the items add up to {total:.2f}, not {claimed_total:.2f}")


def _check_line(line: Line, product: Product) -> None:
    if not 1 <= line.quantity <= MOST:
        detail = f"product {line.product_id}: the quantity must be between 1 and {MOST}, not {line.quantity}"
        raise Refused("invalid-quantity", detail)
    if product.status != "active":
        slug = "product-deleted" if product.status == "deleted" else "product-withdrawn"
        raise Refused(slug, f"product {line.product_id} ({product.name}) is {product.status} and cannot be ordered")
    if product.currency != CURRENCY:
        detail = f"product {line.product_id} is priced in {product.currency}, but orders are in {CURRENCY}"
        raise Refused("currency-mismatch", detail)
    if product.price != line.price:
        detail = f"product {line.product_id} costs {product.price:.2f}, not {line.price:.2f}"
        raise Refused("price-mismatch", detail)
