"""The fields of a product that leave the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

from catalog.domain.product import ProductState, changed_payload, deleted_payload

ID = UUID(int=1)
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def test_an_event_has_the_full_state_and_the_price_as_text() -> None:
    state = ProductState(
        name="Keyboard", description="83 keys", price=Decimal("29.9"), currency="BRL", status="withdrawn"
    )
    assert changed_payload(ID, state, created_at=NOON, updated_at=NOON) == {
        "productId": str(ID),
        "name": "Keyboard",
        "description": "83 keys",
        "price": "29.90",
        "currency": "BRL",
        "status": "withdrawn",
        "createdAt": "2026-01-01T12:00:00.123Z",
        "updatedAt": "2026-01-01T12:00:00.123Z",
    }


def test_a_deletion_has_id_and_time_in_utc() -> None:
    deleted_at = NOON.astimezone(timezone(timedelta(hours=-3)))
    assert deleted_payload(ID, deleted_at=deleted_at) == {
        "productId": str(ID),
        "deletedAt": "2026-01-01T12:00:00.123Z",
    }
