"""The way of a shipment, and the orders that may have one (S76)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from kompensa_participant import Refused
from shipping.domain.order import OrderStatus, require_shippable
from shipping.domain.shipment import Shipment, ShipmentStatus, deliver, dispatch, payload

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2026, 2, 3, 9, tzinfo=UTC)
ORDER = UUID(int=7)
PREPARED = Shipment(id=UUID(int=1), order_id=ORDER, status=ShipmentStatus.PREPARED, version=1, created_at=NOW)
DISPATCHED = dispatch(PREPARED, tracking_number="BR-1", now=NOW)


@pytest.mark.parametrize(
    ("status", "slug"), [(OrderStatus.PENDING, "order-not-paid"), (OrderStatus.CANCELLED, "order-cancelled")]
)
def test_only_a_paid_order_is_shipped(status: OrderStatus, slug: str) -> None:
    require_shippable(ORDER, OrderStatus.PAID)
    with pytest.raises(Refused) as refused:
        require_shippable(ORDER, status)
    assert (refused.value.status, refused.value.slug) == (409, slug)


def test_a_shipment_is_dispatched_with_a_tracking_number_and_then_delivered() -> None:
    assert (DISPATCHED.status, DISPATCHED.tracking_number, DISPATCHED.version) == ("dispatched", "BR-1", 2)
    delivered = deliver(DISPATCHED, now=LATER)
    assert (delivered.status, delivered.dispatched_at, delivered.delivered_at) == ("delivered", NOW, LATER)
    assert delivered.version == 3


def test_a_repeated_command_changes_nothing() -> None:
    delivered = deliver(DISPATCHED, now=NOW)
    assert dispatch(DISPATCHED, tracking_number="BR-1", now=LATER) == DISPATCHED
    assert dispatch(delivered, tracking_number="BR-1", now=LATER) == delivered
    assert deliver(delivered, now=LATER) == delivered


@pytest.mark.parametrize("shipment", [DISPATCHED, deliver(DISPATCHED, now=LATER)])
def test_a_shipment_keeps_its_tracking_number(shipment: Shipment) -> None:
    with pytest.raises(Refused) as refused:
        dispatch(shipment, tracking_number="BR-2", now=LATER)
    assert (refused.value.status, refused.value.slug) == (409, "shipment-already-dispatched")


def test_a_shipment_arrives_only_after_it_was_dispatched() -> None:
    with pytest.raises(Refused) as refused:
        deliver(PREPARED, now=NOW)
    assert (refused.value.status, refused.value.slug) == (409, "shipment-not-dispatched")


def test_an_event_has_the_full_state() -> None:
    assert payload(replace(DISPATCHED, delivered_at=LATER)) == {
        "shipmentId": str(PREPARED.id),
        "orderId": str(ORDER),
        "status": "dispatched",
        "trackingNumber": "BR-1",
        "dispatchedAt": "2026-01-31T12:00:00.000Z",
        "deliveredAt": "2026-02-03T09:00:00.000Z",
    }
