"""A customer as the authority knows one (S19), and what of it leaves the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from kompensa_participant import utc

Address = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class CustomerState:
    """All that can be changed of a customer. Addresses and payment methods are as on the wire."""

    email: str
    document: str
    full_name: str
    phone: str | None
    shipping_address: Address
    billing_address: Address
    payment_methods: Sequence[Mapping[str, str]]


def changed_payload(
    customer_id: UUID, state: CustomerState, *, created_at: datetime, updated_at: datetime
) -> dict[str, Any]:
    """Return the full state as an event has it (S22): everything the copies may need, and no payment methods."""
    return {
        "customerId": str(customer_id),
        "email": state.email,
        "document": state.document,
        "fullName": state.full_name,
        **({"phone": state.phone} if state.phone is not None else {}),
        "shippingAddress": dict(state.shipping_address),
        "billingAddress": dict(state.billing_address),
        "createdAt": utc(created_at),
        "updatedAt": utc(updated_at),
    }


def payment_methods_payload(customer_id: UUID, state: CustomerState, *, updated_at: datetime) -> dict[str, Any]:
    """Return the payment methods as their own event has them (S77): only payments copies them."""
    return {
        "customerId": str(customer_id),
        "paymentMethods": [dict(method) for method in state.payment_methods],
        "updatedAt": utc(updated_at),
    }


def deleted_payload(customer_id: UUID, *, deleted_at: datetime) -> dict[str, Any]:
    """Return the payload of a deletion: the id, and no personal field."""
    return {"customerId": str(customer_id), "deletedAt": utc(deleted_at)}
