"""An order is what its events say (S51, S54), and each command looks at it first (F4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from kompensa_eventstore import InvalidEventError
from kompensa_participant import Refused
from orders.adapters.order_events import TYPES, new_event
from orders.domain import decisions
from orders.domain.aggregate import OrderAggregate, Status, StreamBrokenError, apply, load, row_status
from orders.domain.events import (
    OrderCancelled,
    OrderDelivered,
    OrderEvent,
    OrderShipped,
    PaymentProcessed,
)
from orders.domain.order import CURRENCY, Line, Product

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORDER, ANA, PAYMENT = UUID(int=1), UUID(int=2), UUID(int=3)
MOUSE, SCREEN = UUID(int=4), UUID(int=5)
LINES = [
    Line(product_id=MOUSE, quantity=2, price=Decimal("29.99")),
    Line(product_id=SCREEN, quantity=1, price=Decimal("149.99")),
]
PRODUCTS = {
    product: Product(name=name, price=Decimal(price), currency=CURRENCY, status="active")
    for product, name, price in ((MOUSE, "Mouse", "29.99"), (SCREEN, "Screen", "149.99"))
}
CREATED = decisions.create(ORDER, customer_id=ANA, lines=LINES, products=PRODUCTS, now=NOON)
PAID = PaymentProcessed(order_id=ORDER, payment_id=PAYMENT, amount=Decimal("209.97"), processed_at=NOON)
SHIPPED = OrderShipped(order_id=ORDER, tracking_number="BR-1", shipped_at=NOON)
DELIVERED = OrderDelivered(order_id=ORDER, delivered_at=NOON)
CANCELLED = OrderCancelled(order_id=ORDER, reason="undone", cancelled_at=NOON)
STREAMS: dict[Status, list[OrderEvent]] = {
    Status.PENDING: [CREATED],
    Status.PAID: [CREATED, PAID],
    Status.SHIPPED: [CREATED, PAID, SHIPPED],
    Status.DELIVERED: [CREATED, PAID, SHIPPED, DELIVERED],
    Status.CANCELLED: [CREATED, CANCELLED],
}
COMMANDS: dict[str, Callable[[OrderAggregate], OrderEvent]] = {
    "pay": lambda order: decisions.record_payment(order, payment_id=PAYMENT, now=NOON),
    "ship": lambda order: decisions.ship(order, tracking_number="BR-1", now=NOON),
    "deliver": lambda order: decisions.deliver(order, now=NOON),
    "cancel": lambda order: decisions.cancel(order, reason="undone", now=NOON),
}
ACCEPTED = {
    (Status.PENDING, "pay"): PAID,
    (Status.PAID, "ship"): SHIPPED,
    (Status.SHIPPED, "deliver"): DELIVERED,
    (Status.PENDING, "cancel"): CANCELLED,
}
REASONS = {
    (Status.PENDING, "ship"): "order-not-paid",
    (Status.SHIPPED, "ship"): "order-already-shipped",
    (Status.DELIVERED, "ship"): "order-already-shipped",
    (Status.CANCELLED, "ship"): "order-cancelled",
    (Status.PENDING, "deliver"): "order-not-shipped",
    (Status.PAID, "deliver"): "order-not-shipped",
    (Status.DELIVERED, "deliver"): "order-already-delivered",
    (Status.CANCELLED, "deliver"): "order-cancelled",
}


def order(status: Status) -> OrderAggregate:
    found = load(STREAMS[status])
    assert found is not None
    return found


@pytest.mark.parametrize("status", Status)
def test_the_status_follows_the_last_event(status: Status) -> None:
    found = order(status)
    assert (found.order_id, found.customer_id, found.total_amount) == (ORDER, ANA, Decimal("209.97"))
    assert found.status is status


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("status", Status)
def test_a_command_is_accepted_in_one_status_and_refused_with_a_reason_in_all_others(
    status: Status, command: str
) -> None:
    if (status, command) in ACCEPTED:
        assert COMMANDS[command](order(status)) == ACCEPTED[status, command]
        return
    with pytest.raises(Refused) as refused:
        COMMANDS[command](order(status))
    assert (refused.value.status, refused.value.slug) == (409, REASONS.get((status, command), "order-not-pending"))


def test_the_total_is_computed_from_the_lines() -> None:
    assert CREATED.total_amount == Decimal("209.97")
    assert [item.name for item in CREATED.items] == ["Mouse", "Screen"]


def test_a_paid_order_is_called_confirmed_in_the_table() -> None:
    names = {status: row_status(status) for status in Status}
    assert names == {status: "confirmed" if status is Status.PAID else status.value for status in Status}


def test_events_that_are_not_the_stream_of_one_order_are_found() -> None:
    assert load([]) is None
    other = OrderDelivered(order_id=UUID(int=9), delivered_at=NOON)
    broken: list[list[OrderEvent]] = [[PAID], [CREATED, CREATED], [CREATED, other]]
    for events in broken:
        with pytest.raises(StreamBrokenError):
            load(events)


def test_applying_an_event_leaves_the_order_before_it_as_it_was() -> None:
    before = order(Status.PENDING)
    assert apply(before, PAID).status is Status.PAID
    assert before.status is Status.PENDING


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (CREATED, {"orderId", "customerId", "items", "totalAmount", "createdAt"}),
        (PAID, {"orderId", "paymentId", "amount", "processedAt"}),
        (SHIPPED, {"orderId", "trackingNumber", "shippedAt"}),
        (DELIVERED, {"orderId", "deliveredAt"}),
        (CANCELLED, {"orderId", "reason", "cancelledAt"}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OrderEvent) else "",
)
def test_an_event_has_the_fields_of_the_text(event: OrderEvent, fields: set[str]) -> None:
    assert new_event(event).data.keys() == fields


@pytest.mark.parametrize("amount", ["209.971", "-1.00", "NaN", "209,97", 209.97, "12345678901.00"])
def test_an_amount_that_is_not_exact_money_is_not_stored(amount: Any) -> None:
    data = {"orderId": str(ORDER), "paymentId": None, "amount": amount, "processedAt": "2026-01-01T12:00:00Z"}
    with pytest.raises(InvalidEventError, match="amount"):
        TYPES.check("PAYMENT_PROCESSED", "1.0", data)
