"""Shipping ships: a shipment for each paid order, with its events, and refusals with a reason (S76)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest

from kompensa_dev.postgres import Login
from shipping.adapters import orders
from shipping.app import service
from tests.integration.conftest_participants import Participant, serve

PAID = ("ORDER_CREATED", "PAYMENT_PROCESSED")


@pytest.fixture
async def shipping(database: Login) -> AsyncIterator[Participant]:
    async with serve(service, database) as participant:
        yield participant


async def follow(shipping: Participant, order_id: UUID, *events: tuple[int, str]) -> None:
    async with await psycopg.AsyncConnection.connect(
        shipping.login.url, autocommit=True, options="-c search_path=shipping"
    ) as connection:
        for version, event_type in events:
            await orders.follow(connection, order_id, event_type=event_type, version=version)


async def an_order(shipping: Participant, *types: str) -> str:
    order_id = uuid4()
    await follow(shipping, order_id, *enumerate(types, start=1))
    return str(order_id)


async def prepared(shipping: Participant) -> dict[str, Any]:
    reply = await shipping.client.post("/shipments", json={"orderId": await an_order(shipping, *PAID)})
    assert reply.status_code == 201, reply.text
    made: dict[str, Any] = reply.json()
    return made


async def dispatched(shipping: Participant, shipment_id: str, number: str = "BR-1") -> httpx.Response:
    return await shipping.client.post(f"/shipments/{shipment_id}/dispatch", json={"trackingNumber": number})


def slug(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition(":")[2]


def events(shipping: Participant) -> list[tuple[int, str, str]]:
    rows = shipping.rows("SELECT * FROM shipping.outbox ORDER BY aggregate_id, aggregate_version")
    return [(row["aggregate_version"], row["event_type"], row["payload"]["status"]) for row in rows]


async def test_a_paid_order_is_prepared_dispatched_and_delivered_with_an_event_each(shipping: Participant) -> None:
    shipment = await prepared(shipping)
    assert (shipment["status"], shipment["trackingNumber"]) == ("prepared", None)
    sent = (await dispatched(shipping, shipment["id"])).json()
    assert (sent["status"], sent["trackingNumber"], sent["version"]) == ("dispatched", "BR-1", 2)
    arrived = (await shipping.client.post(f"/shipments/{shipment['id']}/deliver")).json()
    assert (arrived["status"], arrived["version"]) == ("delivered", 3)
    assert (await shipping.client.get(f"/shipments/{shipment['id']}")).json() == arrived
    assert events(shipping) == [
        (1, "shipment-prepared", "prepared"),
        (2, "shipment-dispatched", "dispatched"),
        (3, "shipment-delivered", "delivered"),
    ]
    (last,) = shipping.rows("SELECT payload FROM shipping.outbox WHERE aggregate_version = 3")
    assert last["payload"]["orderId"] == shipment["orderId"]
    assert last["payload"]["trackingNumber"] == "BR-1"


@pytest.mark.parametrize(
    ("types", "refusal"),
    [
        ((), (404, "unknown-order")),
        (("ORDER_CREATED",), (409, "order-not-paid")),
        (("ORDER_CREATED", "ORDER_CANCELLED"), (409, "order-cancelled")),
    ],
)
async def test_an_order_that_is_not_paid_is_not_shipped(
    shipping: Participant, types: tuple[str, ...], refusal: tuple[int, str]
) -> None:
    order_id = await an_order(shipping, *types)
    reply = await shipping.client.post("/shipments", json={"orderId": order_id})
    assert slug(reply) == refusal
    assert order_id in reply.json()["detail"]
    assert shipping.rows("SELECT FROM shipping.shipments") == shipping.rows("SELECT FROM shipping.outbox") == []


async def test_repeated_commands_have_one_effect(shipping: Participant) -> None:
    shipment = await prepared(shipping)
    again = await shipping.client.post("/shipments", json={"orderId": shipment["orderId"]})
    assert (again.status_code, again.json()) == (200, shipment)
    first = await dispatched(shipping, shipment["id"])
    assert (await dispatched(shipping, shipment["id"])).json() == first.json()
    assert slug(await dispatched(shipping, shipment["id"], "BR-2")) == (409, "shipment-already-dispatched")
    arrived = [await shipping.client.post(f"/shipments/{shipment['id']}/deliver") for _ in range(2)]
    assert arrived[0].json() == arrived[1].json()
    assert [version for version, _, _ in events(shipping)] == [1, 2, 3]


async def test_of_many_at_once_one_has_the_effect(shipping: Participant) -> None:
    order_id = await an_order(shipping, *PAID)
    replies = await asyncio.gather(*(shipping.client.post("/shipments", json={"orderId": order_id}) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] * 7 + [201]
    (shipment_id,) = {reply.json()["id"] for reply in replies}
    numbers = [f"BR-{number}" for number in range(8)]
    replies = await asyncio.gather(*(dispatched(shipping, shipment_id, number) for number in numbers))
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    assert [version for version, _, _ in events(shipping)] == [1, 2]


async def test_a_shipment_cannot_arrive_before_it_is_dispatched(shipping: Participant) -> None:
    shipment = await prepared(shipping)
    reply = await shipping.client.post(f"/shipments/{shipment['id']}/deliver")
    assert slug(reply) == (409, "shipment-not-dispatched")
    unknown = uuid4()
    assert slug(await shipping.client.get(f"/shipments/{unknown}")) == (404, "unknown-shipment")
    assert slug(await dispatched(shipping, str(unknown))) == (404, "unknown-shipment")


async def test_two_parcels_never_have_one_tracking_number(shipping: Participant) -> None:
    one, other = await prepared(shipping), await prepared(shipping)
    await dispatched(shipping, one["id"])
    assert slug(await dispatched(shipping, other["id"])) == (409, "tracking-number-taken")
    assert shipping.value("SELECT status FROM shipping.shipments WHERE id = %s", other["id"]) == "prepared"


@pytest.mark.parametrize("number", ["", "x" * 101, None])
async def test_a_tracking_number_is_a_text_of_some_length(shipping: Participant, number: str | None) -> None:
    shipment = await prepared(shipping)
    reply = await shipping.client.post(f"/shipments/{shipment['id']}/dispatch", json={"trackingNumber": number})
    assert reply.status_code == 422


async def test_shipments_are_listed_by_status(shipping: Participant) -> None:
    waiting, sent = await prepared(shipping), await prepared(shipping)
    await dispatched(shipping, sent["id"])

    async def listed(**query: Any) -> list[str]:
        reply = await shipping.client.get("/shipments", params=query)
        return [shipment["id"] for shipment in reply.json()]

    assert await listed(status="prepared") == [waiting["id"]]
    assert await listed(status="dispatched") == [sent["id"]]
    ids = sorted([waiting["id"], sent["id"]])
    assert [await listed(limit=1), await listed(after=ids[0])] == [ids[:1], ids[1:]]


async def test_the_copy_of_an_order_follows_its_newest_event_in_any_order_of_arrival(shipping: Participant) -> None:
    history = [(1, "ORDER_CREATED"), (2, "PAYMENT_PROCESSED"), (3, "ORDER_SHIPPED"), (4, "ORDER_DELIVERED")]
    for _ in range(6):
        order_id = uuid4()
        arrivals = random.sample([*history, *history], k=8)
        await follow(shipping, order_id, *arrivals)
        found = shipping.rows("SELECT status, source_version FROM shipping.orders WHERE orders_order_id = %s", order_id)
        assert found == [{"status": "paid", "source_version": 2}]
