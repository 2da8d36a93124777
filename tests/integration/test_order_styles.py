"""The same order in both styles: orchestrated by the engine, and choreographed by services that react to each other.

Each test places an order in one style and compares what it has left in the databases with one expectation for both.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from typer.testing import CliRunner

from kompensa.cli.main import app
from kompensa_dev.stack import Stack
from tests.integration.order_styles import PARTICIPANTS, Choreographed, Orchestrated, Style, effects_of, ended, shop_of
from tests.integration.stack_ledgers import rows, totals
from tests.support.shop import PASSPORT, Shop
from tests.support.waiting import eventually

NOTHING: dict[str, list[list[str]]] = {
    "reservations": [],
    "stock movements": [],
    "payments": [],
    "entries": [],
    "orders": [],
    "order's events": [],
    "items": [],
    "invoices": [],
    "lines": [],
}
ITEMS = [["Product 29.99", "2", "29.99"], ["Product 149.99", "1", "149.99"]]
PLACED = {
    "reservations": [["sold"]],
    "stock movements": [["reserve", "-3", "3"], ["sell", "0", "-3"]],
    "payments": [["209.97", "0.00"]],
    "entries": [["capture"]],
    "orders": [["confirmed", "209.97"]],
    "order's events": [["ORDER_CREATED", "False"], ["PAYMENT_PROCESSED", "True"]],
    "items": ITEMS,
    "invoices": [["issued", "209.97"]],
    "lines": ITEMS,
}
RELEASED = {"reservations": [["released"]], "stock movements": [["release", "3", "-3"], ["reserve", "-3", "3"]]}
REFUNDED = {"payments": [["209.97", "209.97"]], "entries": [["capture"], ["refund"]]}
REFUNDED_1 = {**REFUNDED, "payments": [["1.00", "1.00"]]}
CANCELLED = {
    "orders": [["cancelled", "209.97"]],
    "order's events": [["ORDER_CREATED", "False"], ["ORDER_CANCELLED", "False"]],
    "items": ITEMS,
}
FAILURES = [
    pytest.param({"stock": 0}, {}, "wanted", {}, id="reserve-inventory"),
    pytest.param({"balance": "1.00"}, {}, "insufficient funds", RELEASED, id="process-payment"),
    pytest.param({}, {"totalAmount": "1.00"}, "add up to", {**RELEASED, **REFUNDED_1}, id="create-order"),
    pytest.param(
        {"document": PASSPORT},
        {},
        "neither a CPF",
        {**RELEASED, **REFUNDED, **CANCELLED},
        id="issue-invoice",
    ),
]


WAY = [
    "orders.order-requested",
    "inventory.stock-reserved",
    "payments.payment-captured",
    "orders.order-created",
    "invoices.invoice-issued",
    "orders.order-confirmed",
]


@pytest.fixture(params=[Orchestrated, Choreographed], ids=["orchestrated", "choreographed"])
def style(request: pytest.FixtureRequest, stack: Stack) -> Style:
    found: Style = request.param(stack)
    return found


@pytest.fixture
def shop(stack: Stack) -> Shop:
    return shop_of(stack)


def unhandled(stack: Stack) -> list[dict[str, Any]]:
    """Events that a service has put aside for a person."""
    query = "SELECT topic, error FROM {}.inbox WHERE state = 'Parked'"
    return [row for service in PARTICIPANTS for row in rows(stack, service, query.format(service))]


def test_an_order_leaves_the_same_in_both_styles(style: Style, shop: Shop) -> None:
    saga = style.place(shop.scene().order())
    assert ended(style, saga).placed
    assert effects_of(style.stack, saga) == PLACED


@pytest.mark.parametrize(("scene", "order", "reason", "kept"), FAILURES)
def test_whichever_step_is_refused_the_same_is_undone(
    style: Style, shop: Shop, scene: dict[str, Any], order: dict[str, Any], reason: str, kept: dict[str, Any]
) -> None:
    """S49: stock and money are as before, and both styles report why."""
    placed = shop.scene(**scene).order(**order)
    before = totals(style.stack)
    saga = style.place(placed)
    outcome = ended(style, saga)
    assert not outcome.placed
    assert outcome.reason.startswith("Order creation failed: ")
    assert reason in outcome.reason
    assert effects_of(style.stack, saga) == {**NOTHING, **kept}
    assert totals(style.stack) == before
    assert unhandled(style.stack) == []


def test_an_order_whose_every_step_is_asked_for_twice_is_placed_once(style: Style, shop: Shop) -> None:
    saga = style.place_with_duplicates(shop.scene().order())
    assert effects_of(style.stack, saga) == PLACED


def test_orders_are_placed_once_if_every_service_is_killed_on_the_way(style: Style, shop: Shop) -> None:
    sagas = [style.place(shop.scene().order()) for _ in range(5)]
    for service in PARTICIPANTS:
        style.stack.services[service].kill()
        style.stack.start_service(service)
    assert [ended(style, saga).placed for saga in sagas] == [True] * len(sagas)
    for saga in sagas:
        assert effects_of(style.stack, saga) == PLACED


def test_a_lost_service_ends_in_cancellation_and_what_comes_late_has_no_effect(style: Style, shop: Shop) -> None:
    order = shop.scene().order()
    before = totals(style.stack)
    style.stack.services["payments"].kill()
    saga = style.place(order, deadline_seconds=5)
    eventually(lambda: effects_of(style.stack, saga)["reservations"], "the reservation before the lost service")
    eventually(lambda: style.is_undone(saga), "the deadline to pass")
    style.stack.start_service("payments")
    assert not ended(style, saga).placed
    kept = effects_of(style.stack, saga)
    # It may have found the request to pay before the one to undo, or after it.
    assert (kept.pop("payments"), kept.pop("entries")) in (([], []), (REFUNDED["payments"], REFUNDED["entries"]))
    assert kept == {**{name: [] for name in kept}, **RELEASED}
    assert totals(style.stack) == before
    assert unhandled(style.stack) == []


def test_the_way_of_an_order_by_events_can_be_traced(stack: Stack, shop: Shop) -> None:
    """S38: no part has seen all of it, and its events show it."""
    saga = Choreographed(stack).place(shop.scene().order())
    assert ended(Choreographed(stack), saga).placed
    assert stack.kafka is not None
    servers = ["--api", stack.ports.api_url, "--kafka", stack.kafka.bootstrap]

    def way() -> list[tuple[str, str | None]]:
        traced = CliRunner().invoke(app, ["trace", saga, "-o", "json", *servers])
        entries = [
            (f"{each['service']}.{each['event']}", each.get("causedBy"))
            for each in json.loads(traced.output)["entries"]
        ]
        return [(event, cause) for event, cause in entries if event in WAY]

    causes = [None, *(event.partition(".")[2] for event in WAY[:-1])]
    eventually(way, "the last event to reach Kafka", is_right=lambda found: len(found) == len(WAY))
    assert way() == list(zip(WAY, causes, strict=True))


def test_a_request_to_place_that_is_repeated_is_one_order(stack: Stack, shop: Shop) -> None:
    order, saga = shop.scene().order(), str(uuid.uuid4())
    for _ in range(2):
        assert shop.call("orders", "POST", "/placements", {**order, "sagaId": saga}).ok()["sagaId"] == saga
    other = shop.call("orders", "POST", "/placements", {**order, "sagaId": saga, "totalAmount": "1.00"})
    assert (other.status, other.body["type"]) == (422, "urn:kompensa:problem:saga-id-reused")
    assert ended(Choreographed(stack), saga).placed
    assert shop.call("orders", "GET", f"/placements/{uuid.uuid4()}").status == 404
