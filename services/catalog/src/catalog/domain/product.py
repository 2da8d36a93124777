"""A product as the authority knows it, and the parts of it that leave the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from kompensa_participant import utc

Status = Literal["active", "withdrawn"]


@dataclass(frozen=True, kw_only=True)
class ProductState:
    """All that can be changed of a product. `price` is for one piece, in `currency` (ISO 4217)."""

    name: str
    description: str
    price: Decimal
    currency: str
    status: Status


def changed_payload(
    product_id: UUID, state: ProductState, *, created_at: datetime, updated_at: datetime
) -> dict[str, Any]:
    """Return the full state as an event has it. The price is text: as a JSON number it could lose cents."""
    return {
        "productId": str(product_id),
        "name": state.name,
        "description": state.description,
        "price": f"{state.price:.2f}",
        "currency": state.currency,
        "status": state.status,
        "createdAt": utc(created_at),
        "updatedAt": utc(updated_at),
    }


def deleted_payload(product_id: UUID, *, deleted_at: datetime) -> dict[str, Any]:
    """Return the payload of a deletion."""
    return {"productId": str(product_id), "deletedAt": utc(deleted_at)}
