"""The items of a reservation."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from kompensa_participant import Refused

MOST = 1_000_000


def wanted(items: Iterable[tuple[UUID, int]]) -> list[tuple[UUID, int]]:
    """Pieces by product, each product once, in product order.

    The order is what keeps two reservations of the same products from waiting for each other forever: every
    transaction locks the stock rows in the same order.

    Raises
    ------
    Refused
        `invalid-quantity`, for less than one piece or more than MOST.
    """
    total: dict[UUID, int] = {}
    for product_id, quantity in items:
        if not 1 <= quantity <= MOST:
            detail = f"product {product_id}: the quantity must be between 1 and {MOST}, not {quantity}"
            raise Refused("invalid-quantity", detail)
        total[product_id] = total.get(product_id, 0) + quantity
    return sorted(total.items())
