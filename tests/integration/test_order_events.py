"""Orders are event-sourced: commands, audit, the state at an instant, and events that never change (S50-S57, F4)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kompensa_eventstore import NewEvent
from orders.adapters.order_events import ORDERS
from orders.app import service
from tests.integration.conftest_participants import Participant, SagaCall, answering
from tests.integration.orders_desk import next_step, order, slug
from tests.support.waiting import until

PAYMENT = str(uuid.uuid4())
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def placed(orders: Participant, customer: str) -> tuple[SagaCall, str]:
    """A pending order of a new saga."""
    saga = orders.saga("create-order")
    return saga, (await saga.action("/orders", order(customer), traceparent=TRACE)).json()["orderId"]


async def paid(orders: Participant, customer: str) -> str:
    saga, order_id = await placed(orders, customer)
    body = {"orderId": order_id, "paymentId": PAYMENT}
    assert (await next_step(saga, "confirm-order").action("/orders/confirm", body)).status_code == 200
    return order_id


async def events(orders: Participant, order_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await orders.client.get(f"/orders/{order_id}/events")).json()
    return found


async def ship(orders: Participant, order_id: str, tracking_number: str = "BR-1") -> Any:
    return await orders.client.post(f"/orders/{order_id}/ship", json={"trackingNumber": tracking_number})


@pytest.fixture
async def guarded(orders: Participant, tmp_path: Path) -> AsyncIterator[Participant]:
    """Orders that checks its callers. The client is the back office, unless it shows the engine's token."""
    for caller in ("engine", "backoffice"):
        (tmp_path / caller).write_text(f"the-token-of-{caller}")
    async with answering(service, orders.login, caller_tokens=tmp_path) as participant:
        participant.client.headers["Authorization"] = "Bearer the-token-of-backoffice"
        yield participant


async def test_the_audit_shows_who_did_what_and_when(guarded: Participant, ana: str) -> None:
    orders, engine = guarded, "Bearer the-token-of-engine"
    saga = orders.saga("create-order")
    order_id = (await saga.action("/orders", order(ana), traceparent=TRACE, Authorization=engine)).json()["orderId"]
    body = {"orderId": order_id, "paymentId": PAYMENT}
    await next_step(saga, "confirm-order").action("/orders/confirm", body, Authorization=engine)
    assert (await ship(orders, order_id)).json()["status"] == "shipped"
    assert (await orders.client.post(f"/orders/{order_id}/deliver")).json()["status"] == "delivered"
    found = await events(orders, order_id)
    assert [(event["eventVersion"], event["eventType"], event["actor"], event["sagaId"]) for event in found] == [
        (1, "ORDER_CREATED", "engine", saga.saga_id),
        (2, "PAYMENT_PROCESSED", "engine", saga.saga_id),
        (3, "ORDER_SHIPPED", "backoffice", None),
        (4, "ORDER_DELIVERED", "backoffice", None),
    ]
    created, payment, shipped, _ = found
    assert (created["aggregateType"], created["aggregateId"], created["traceparent"]) == ("Order", order_id, TRACE)
    assert created["correlationId"] == saga.saga_id
    assert created["eventData"]["totalAmount"] == "209.97"
    assert [item["name"] for item in created["eventData"]["items"]] == ["Mouse", "Screen"]
    assert (payment["eventData"]["paymentId"], payment["eventData"]["amount"]) == (PAYMENT, "209.97")
    assert shipped["eventData"]["trackingNumber"] == "BR-1"
    assert [event["occurredAt"] for event in found] == sorted(event["occurredAt"] for event in found)
    row = (await orders.client.get(f"/orders/{order_id}")).json()
    assert (row["status"], row["updatedAt"]) == ("delivered", found[-1]["occurredAt"])


async def test_without_a_check_of_callers_the_audit_names_none(orders: Participant, ana: str) -> None:
    _, order_id = await placed(orders, ana)
    assert [event["actor"] for event in await events(orders, order_id)] == [None]


async def test_a_command_on_an_order_that_does_not_allow_it_is_refused_and_changes_nothing(
    orders: Participant, ana: str
) -> None:
    saga, pending = await placed(orders, ana)
    assert slug(await ship(orders, pending)) == (409, "order-not-paid")
    assert slug(await orders.client.post(f"/orders/{pending}/deliver")) == (409, "order-not-shipped")
    await saga.compensation("/orders/cancel")
    assert slug(await ship(orders, pending)) == (409, "order-cancelled")
    assert [event["eventType"] for event in await events(orders, pending)] == ["ORDER_CREATED", "ORDER_CANCELLED"]
    shipped = await paid(orders, ana)
    assert (await ship(orders, shipped)).status_code == 200
    assert slug(await ship(orders, shipped, "BR-2")) == (409, "order-already-shipped")
    assert len(await events(orders, shipped)) == 3
    assert slug(await ship(orders, shipped, "")) == (422, "request-invalid")
    unknown = str(uuid.uuid4())
    for reply in (
        await ship(orders, unknown),
        await orders.client.post(f"/orders/{unknown}/deliver"),
        await orders.client.get(f"/orders/{unknown}/events"),
        await orders.client.get(f"/orders/{unknown}", params={"at": "2026-01-01T00:00:00Z"}),
    ):
        assert slug(reply) == (404, "unknown-order")
    assert orders.value("SELECT count(*) FROM orders.events WHERE aggregate_id = %s", unknown) == 0


async def test_an_order_can_be_seen_as_it_was_at_an_instant(orders: Participant, ana: str) -> None:
    order_id = await paid(orders, ana)
    await ship(orders, order_id)
    created, payment, shipped = [
        datetime.fromisoformat(event["occurredAt"]) for event in await events(orders, order_id)
    ]
    for instant, status in ((created, "pending"), (payment, "confirmed"), (shipped, "shipped")):
        seen = (await orders.client.get(f"/orders/{order_id}", params={"at": instant.isoformat()})).json()
        assert (seen["status"], seen["updatedAt"]) == (status, instant.isoformat().replace("+00:00", "Z"))
    now = (await orders.client.get(f"/orders/{order_id}")).json()
    assert (await orders.client.get(f"/orders/{order_id}", params={"at": datetime.now(UTC).isoformat()})).json() == now
    early = (created - timedelta(microseconds=1)).isoformat()
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert slug(await orders.client.get(f"/orders/{order_id}", params={"at": early})) == (404, "not-yet-created")
    assert slug(await orders.client.get(f"/orders/{order_id}", params={"at": late})) == (422, "instant-in-the-future")
    for wrong in ("2026-01-01T00:00:00", "yesterday", ""):
        found = await orders.client.get(f"/orders/{order_id}", params={"at": wrong})
        assert slug(found) == (422, "request-invalid")


async def test_of_two_shipments_at_once_one_is_refused(orders: Participant, ana: str) -> None:
    order_id = await paid(orders, ana)
    replies = await asyncio.gather(*(ship(orders, order_id, f"BR-{n}") for n in range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    assert len(await events(orders, order_id)) == 3


async def test_a_command_that_another_writer_overtakes_decides_again(orders: Participant, ana: str) -> None:
    """The other writer appends to the stream and does not lock the row."""
    order_id = await paid(orders, ana)
    stream = ORDERS.stream(uuid.UUID(order_id))
    data = {"orderId": order_id, "trackingNumber": "BR-9", "shippedAt": datetime.now(UTC)}
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = current_user"

    async def waits() -> bool:
        return bool(await asyncio.to_thread(orders.value, waiting))

    async with await psycopg.AsyncConnection.connect(orders.login.url) as other:
        await other.execute("SET search_path = orders")
        await ORDERS.append(other, stream, [NewEvent(type="ORDER_SHIPPED", data=data)], expected_version=2)
        late = asyncio.create_task(ship(orders, order_id))
        await until(waits, "the command to wait for the other writer")
        await other.commit()
    assert slug(await late) == (409, "order-already-shipped")
    assert (await events(orders, order_id))[-1]["eventData"]["trackingNumber"] == "BR-9"


async def test_a_crash_before_the_commit_leaves_neither_event_nor_row(orders: Participant, ana: str) -> None:
    saga = orders.saga("create-order")
    cut = await saga.action("/orders", order(ana), Kompensa_Fault="fail-before-commit; status=500")
    assert cut.status_code == 500
    assert orders.value("SELECT count(*) FROM orders.events") == orders.value("SELECT count(*) FROM orders.orders") == 0
    assert (await saga.action("/orders", order(ana))).status_code == 201
    assert orders.value("SELECT count(*) FROM orders.events") == 1


async def test_a_saga_that_was_undone_before_its_order_came_leaves_no_event(orders: Participant, ana: str) -> None:
    saga = orders.saga("create-order")
    assert (await saga.compensation("/orders/cancel")).json()["compensated"] is False
    assert slug(await saga.action("/orders", order(ana))) == (409, "operation-cancelled")
    assert orders.value("SELECT count(*) FROM orders.events") == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE orders.events SET payload = '{}'",
        "DELETE FROM orders.events",
        "TRUNCATE orders.events",
    ],
)
async def test_events_cannot_be_changed_by_their_owner_either(orders: Participant, ana: str, statement: str) -> None:
    _, order_id = await placed(orders, ana)
    with psycopg.connect(orders.login.url) as owner, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
        owner.execute(statement.encode())
    assert len(await events(orders, order_id)) == 1
