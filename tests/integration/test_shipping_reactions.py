"""Orders appends the reports of shipping: once, in any order, and never for an order that is not paid (S76)."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest

from kompensa_participant import ReceivedEvent, Refused
from orders.shipment_reactions import follow, reactions
from shipping.domain.shipment import Shipment, ShipmentStatus, deliver, dispatch, payload
from tests.integration.conftest_participants import Participant
from tests.integration.test_order_events import events, paid, placed, ship

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
LATER = datetime(2030, 2, 3, 9, tzinfo=UTC)


def reports(order_id: str) -> tuple[ReceivedEvent, ReceivedEvent]:
    """Dispatched and delivered, as shipping publishes them."""
    prepared = Shipment(
        id=uuid.uuid4(), order_id=UUID(order_id), status=ShipmentStatus.PREPARED, version=1, created_at=NOW
    )
    dispatched = dispatch(prepared, tracking_number="BR-1", now=NOW)
    return _event("shipment-dispatched", dispatched), _event("shipment-delivered", deliver(dispatched, now=LATER))


def _event(kind: str, shipment: Shipment) -> ReceivedEvent:
    return ReceivedEvent(
        id=uuid.uuid4(),
        topic=f"shipping.{kind}",
        key=str(shipment.id),
        type=kind,
        version="1.0",
        aggregate_version=shipment.version,
        payload=payload(shipment),
        occurred_at=NOW,
        saga_id=None,
        traceparent=None,
    )


async def receive(orders: Participant, *arrivals: ReceivedEvent) -> None:
    for event in arrivals:
        async with await psycopg.AsyncConnection.connect(
            orders.login.url, options="-c search_path=orders"
        ) as connection:
            await follow(connection, event)


ORDERS_OF_ARRIVAL = list(itertools.product((0, 1), repeat=3))


@pytest.mark.parametrize("arrivals", [each for each in ORDERS_OF_ARRIVAL if 1 in each], ids=str)
async def test_a_shipment_is_appended_once_in_any_order_of_arrival(
    orders: Participant, ana: str, arrivals: Sequence[int]
) -> None:
    order_id = await paid(orders, ana)
    both = reports(order_id)
    await receive(orders, *(both[index] for index in arrivals))
    found = [(event["eventType"], event["eventData"]) for event in await events(orders, order_id)]
    assert [kind for kind, _ in found] == ["ORDER_CREATED", "PAYMENT_PROCESSED", "ORDER_SHIPPED", "ORDER_DELIVERED"]
    assert found[2][1]["trackingNumber"] == "BR-1"
    assert datetime.fromisoformat(found[2][1]["shippedAt"]) == NOW
    assert datetime.fromisoformat(found[3][1]["deliveredAt"]) == LATER
    assert (await orders.client.get(f"/orders/{order_id}")).json()["status"] == "delivered"


async def test_an_order_that_was_shipped_by_hand_stays_as_it_is(orders: Participant, ana: str) -> None:
    order_id = await paid(orders, ana)
    await ship(orders, order_id, "BY-HAND")
    await receive(orders, reports(order_id)[0])
    assert [event["eventType"] for event in await events(orders, order_id)][2:] == ["ORDER_SHIPPED"]


async def test_an_order_that_is_not_paid_is_refused_with_its_reason(orders: Participant, ana: str) -> None:
    _, order_id = await placed(orders, ana)
    with pytest.raises(Refused) as refused:
        await receive(orders, reports(order_id)[0])
    assert refused.value.slug == "order-not-paid"


def test_both_events_of_shipping_are_read() -> None:
    assert reactions.topics == ("shipping.shipment-delivered", "shipping.shipment-dispatched")
