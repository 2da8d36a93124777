"""The fields of a customer that leave the service (S22)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from orders.domain.customer import CustomerState, changed_payload, deleted_payload, payment_methods_payload

ID = UUID(int=1)
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
ADDRESS = {
    "street": "Rua das Flores",
    "number": "42",
    "city": "São Paulo",
    "state": "SP",
    "zipCode": "1",
    "country": "BR",
}
ANA = CustomerState(
    email="ana@example.com",
    document="12345678901",
    full_name="Ana Souza",
    phone=None,
    shipping_address=ADDRESS,
    billing_address=ADDRESS,
    payment_methods=[{"id": "pm-abc", "type": "pix"}],
)


def test_an_event_has_the_full_state_and_no_payment_methods() -> None:
    payload = changed_payload(ID, ANA, created_at=NOON, updated_at=NOON)
    assert payload == {
        "customerId": str(ID),
        "email": "ana@example.com",
        "document": "12345678901",
        "fullName": "Ana Souza",
        "shippingAddress": ADDRESS,
        "billingAddress": ADDRESS,
        "createdAt": "2026-01-01T12:00:00.123Z",
        "updatedAt": "2026-01-01T12:00:00.123Z",
    }


def test_payment_methods_have_an_event_of_their_own() -> None:
    assert payment_methods_payload(ID, ANA, updated_at=NOON) == {
        "customerId": str(ID),
        "paymentMethods": [{"id": "pm-abc", "type": "pix"}],
        "updatedAt": "2026-01-01T12:00:00.123Z",
    }


def test_a_deletion_tells_nothing_personal_and_its_time_in_utc() -> None:
    deleted_at = NOON.astimezone(timezone(timedelta(hours=-3)))
    assert deleted_payload(ID, deleted_at=deleted_at) == {
        "customerId": str(ID),
        "deletedAt": "2026-01-01T12:00:00.123Z",
    }
