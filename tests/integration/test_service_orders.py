"""Orders over HTTP: prices of the catalog, totals that are computed, pending until the saga confirms (F5, F17, S48)."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
from alembic import command
from structlog.testing import capture_logs

from kompensa_dev.postgres import Login
from kompensa_participant.migrations import config
from orders.app import service
from tests.integration.conftest_participants import Participant, serve
from tests.integration.orders_desk import MOUSE, SCREEN, next_step, order, slug
from tests.integration.product_copies import copy_to_orders, delete_at_orders

SET_PRICE = """
INSERT INTO orders.prices (catalog_product_id, product_name, unit_price) VALUES (%s, 'Cable', %s)
ON CONFLICT (catalog_product_id) DO UPDATE SET unit_price = excluded.unit_price, updated_at = now()
"""


def one(product: str, quantity: object, price: object) -> list[dict[str, Any]]:
    return [{"productId": product, "quantity": quantity, "price": price}]


async def test_an_order_is_pending_until_its_saga_confirms_it(orders: Participant, ana: str) -> None:
    saga = orders.saga("create-order")
    created = await saga.action("/orders", order(ana))
    assert created.status_code == 201
    order_id = created.json()["orderId"]
    found = (await orders.client.get(f"/orders/{order_id}")).json()
    assert (found["status"], found["totalAmount"], found["sagaId"]) == ("pending", "209.97", saga.saga_id)
    confirmed = await next_step(saga, "confirm-order").action("/orders/confirm", {"orderId": order_id})
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "confirmed")
    assert (await orders.client.get(f"/orders/{order_id}")).json()["status"] == "confirmed"


async def test_a_cancelled_order_keeps_its_row(orders: Participant, ana: str) -> None:
    saga = orders.saga("create-order")
    with capture_logs() as logged:
        order_id = (await saga.action("/orders", order(ana))).json()["orderId"]
        assert (await saga.compensation("/orders/cancel")).json() == {"orderId": order_id, "status": "cancelled"}
    lines = [entry["event"] for entry in logged if entry["event"].startswith("Order")]
    assert lines == [f"Order {order_id} created for customer {ana}", f"Order {order_id} cancelled"]
    found = (await orders.client.get(f"/orders/{order_id}")).json()
    assert (found["status"], len(found["items"])) == ("cancelled", 2)


async def test_a_confirmed_order_is_not_undone_by_its_saga(orders: Participant, ana: str) -> None:
    saga = orders.saga("create-order")
    order_id = (await saga.action("/orders", order(ana))).json()["orderId"]
    await next_step(saga, "confirm-order").action("/orders/confirm", {"orderId": order_id})
    assert slug(await saga.compensation("/orders/cancel")) == (409, "order-not-pending")
    assert (await orders.client.get(f"/orders/{order_id}")).json()["status"] == "confirmed"


async def test_a_cancelled_order_cannot_be_confirmed(orders: Participant, ana: str) -> None:
    saga = orders.saga("create-order")
    order_id = (await saga.action("/orders", order(ana))).json()["orderId"]
    await saga.compensation("/orders/cancel")
    refused = await next_step(saga, "confirm-order").action("/orders/confirm", {"orderId": order_id})
    assert slug(refused) == (409, "order-not-pending")


async def test_another_sagas_order_cannot_be_confirmed(orders: Participant, ana: str) -> None:
    order_id = (await orders.saga().action("/orders", order(ana))).json()["orderId"]
    assert slug(await orders.saga().action("/orders/confirm", {"orderId": order_id})) == (409, "order-not-pending")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"totalAmount": "209.96"}, "total-mismatch"),
        ({"items": one(MOUSE, 1, "0.01"), "totalAmount": "0.01"}, "price-mismatch"),
        ({"items": one(MOUSE, 0, "29.99")}, "invalid-quantity"),
        ({"items": one(MOUSE, -2, "29.99")}, "invalid-quantity"),
        ({"customerId": str(uuid.UUID(int=9))}, "unknown-customer"),
        ({"items": []}, "request-invalid"),
        ({"items": one(MOUSE, 1.5, "29.99")}, "request-invalid"),
        ({"items": one(MOUSE, 1, 29.99)}, "request-invalid"),
        ({"totalAmount": 209.97}, "request-invalid"),
        ({"totalAmount": "0.00"}, "request-invalid"),
    ],
)
async def test_an_order_that_is_wrong_is_refused_and_not_written(
    orders: Participant, ana: str, changes: dict[str, Any], refusal: str
) -> None:
    assert slug(await orders.saga().action("/orders", order(ana, **changes))) == (422, refusal)
    assert orders.rows("SELECT * FROM orders.orders") == []


@pytest.mark.parametrize("price", ["-29.99", "NaN", "Infinity", "1e3", "9" * 30, "29.999"])
async def test_a_price_that_is_not_an_amount_of_money_is_refused_by_its_place(
    orders: Participant, ana: str, price: str
) -> None:
    refused = await orders.saga().action("/orders", order(ana, items=one(MOUSE, 1, price)))
    assert slug(refused) == (422, "request-invalid")
    (error,) = refused.json()["errors"]
    assert (error["field"], price in error["message"]) == ("items.0.price", True)


@pytest.mark.parametrize("price", ["29.99", "NaN"])
async def test_an_order_of_ten_thousand_items_gets_one_error_that_names_the_limit(
    orders: Participant, ana: str, price: str
) -> None:
    refused = await orders.saga().action("/orders", order(ana, items=one(MOUSE, 1, price) * 10_000))
    assert slug(refused) == (422, "request-invalid")
    (error,) = refused.json()["errors"]
    assert (error["field"], "200" in error["message"], "10000" in error["message"]) == ("items", True, True)
    assert orders.rows("SELECT * FROM orders.orders") == []


async def test_a_deleted_customer_cannot_order_and_past_orders_stay(orders: Participant, ana: str) -> None:
    order_id = (await orders.saga().action("/orders", order(ana))).json()["orderId"]
    await orders.client.delete(f"/customers/{ana}")
    assert slug(await orders.saga().action("/orders", order(ana))) == (422, "unknown-customer")
    assert (await orders.client.get(f"/orders/{order_id}")).json()["customerId"] == ana


async def test_an_order_keeps_names_and_prices_as_they_were(orders: Participant, ana: str) -> None:
    created = (await orders.saga().action("/orders", order(ana))).json()
    copy_to_orders(orders, MOUSE, "New mouse", "99.99")
    delete_at_orders(orders, SCREEN)
    items = (await orders.client.get(f"/orders/{created['orderId']}")).json()["items"]
    assert [(item["name"], item["quantity"], item["price"]) for item in items] == [
        ("Mouse", 2, "29.99"),
        ("Screen", 1, "149.99"),
    ]
    assert created["items"] == items


async def test_orders_are_listed_by_page_customer_and_saga(orders: Participant, ana: str) -> None:
    sagas = [orders.saga() for _ in range(3)]
    made = sorted([(await saga.action("/orders", order(ana))).json()["orderId"] for saga in sagas])
    first = (await orders.client.get("/orders", params={"limit": 2})).json()
    rest = (await orders.client.get("/orders", params={"after": first[-1]["id"]})).json()
    assert [row["id"] for row in first + rest] == made
    assert len((await orders.client.get("/orders", params={"customerId": ana})).json()) == 3
    assert (await orders.client.get("/orders", params={"customerId": str(uuid.uuid4())})).json() == []
    (of_saga,) = (await orders.client.get("/orders", params={"sagaId": sagas[1].saga_id})).json()
    assert of_saga["sagaId"] == sagas[1].saga_id


async def test_a_page_has_a_bound(orders: Participant) -> None:
    assert slug(await orders.client.get("/orders", params={"limit": 501})) == (422, "request-invalid")


async def test_an_unknown_order_is_not_found(orders: Participant) -> None:
    assert slug(await orders.client.get(f"/orders/{uuid.uuid4()}")) == (404, "unknown-order")


async def test_a_product_that_is_withdrawn_deleted_or_priced_in_another_currency_is_refused(
    orders: Participant, ana: str
) -> None:
    copy_to_orders(orders, MOUSE, "Mouse", "29.99", status="withdrawn")
    assert slug(await orders.saga().action("/orders", order(ana))) == (422, "product-withdrawn")
    copy_to_orders(orders, MOUSE, "Mouse", "29.99", currency="USD")
    assert slug(await orders.saga().action("/orders", order(ana))) == (422, "currency-mismatch")
    delete_at_orders(orders, MOUSE)
    assert slug(await orders.saga().action("/orders", order(ana))) == (422, "product-deleted")
    assert orders.rows("SELECT * FROM orders.orders") == []


async def test_while_a_products_copy_is_on_its_way_the_answer_is_ask_again(orders: Participant, ana: str) -> None:
    new = str(uuid.UUID(int=9))
    saga, body = orders.saga(), order(ana, items=one(new, 1, "1.00"), totalAmount="1.00")
    early = await saga.action("/orders", body)
    assert (slug(early), early.headers["retry-after"]) == ((503, "product-not-copied"), "1")
    assert (await saga.probe("action"))["state"] == "Absent"
    copy_to_orders(orders, new, "Cable", "1.00")
    assert (await saga.action("/orders", body)).status_code == 201


async def test_copies_of_products_are_read_and_never_written_over_http(orders: Participant) -> None:
    (mouse, screen) = (await orders.client.get("/products")).json()
    assert mouse == (await orders.client.get(f"/products/{MOUSE}")).json()
    assert (mouse["catalogProductId"], mouse["price"], screen["price"]) == (MOUSE, "29.99", "149.99")
    for method in ("PUT", "PATCH", "DELETE"):
        assert slug(await orders.client.request(method, f"/products/{MOUSE}", json={})) == (405, "method-not-allowed")
    assert slug(await orders.client.put(f"/prices/{MOUSE}", json={}))[0] == 404
    delete_at_orders(orders, MOUSE)
    assert slug(await orders.client.get(f"/products/{MOUSE}")) == (404, "not-copied")
    assert [row["name"] for row in (await orders.client.get("/products")).json()] == ["Screen"]


async def test_prices_of_the_version_before_become_copies_that_any_event_replaces(database: Login) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA orders")
        command.upgrade(config("orders", url=database.url, schema="orders"), "0002")
        connection.execute(
            "INSERT INTO orders.prices (catalog_product_id, product_name, unit_price) VALUES (%s, 'Mouse', 29.99)",
            (MOUSE,),
        )
    async with serve(service, database) as orders:
        (mouse,) = (await orders.client.get("/products")).json()
        assert (mouse["name"], mouse["price"], mouse["status"]) == ("Mouse", "29.99", "active")
        assert mouse["sourceVersion"] == 0


async def test_prices_that_a_pod_of_the_version_before_sets_during_the_upgrade_are_copied(orders: Participant) -> None:
    """Until the catalog has spoken: the copies of the fixture have a version of catalog's, and stay."""
    cable = str(uuid.UUID(int=3))
    with psycopg.connect(orders.login.url) as connection:
        for product in (MOUSE, cable):
            for price in ("5.00", "6.00"):
                connection.execute(SET_PRICE, (product, price))
    found = {row["catalogProductId"]: row["price"] for row in (await orders.client.get("/products")).json()}
    assert found == {MOUSE: "29.99", SCREEN: "149.99", cable: "6.00"}
