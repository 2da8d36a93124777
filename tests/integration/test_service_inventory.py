"""Inventory over HTTP: stock that adds up whatever happens to it (I2, I5)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from inventory.adapters import reservations, stock
from inventory.app import service
from kompensa_dev.postgres import Login
from tests.integration.conftest_participants import Participant, SagaCall, serve
from tests.integration.product_copies import copy_to_inventory

LEDGER = """
SELECT s.catalog_product_id FROM inventory.stock s
  LEFT JOIN inventory.stock_movements m USING (catalog_product_id)
 GROUP BY s.catalog_product_id
HAVING sum(m.on_hand_change) <> s.on_hand OR sum(m.reserved_change) <> s.reserved OR sum(m.sold_change) <> s.sold
    OR sum(m.on_hand_change) FILTER (WHERE m.kind = 'count') <> s.on_hand + s.reserved + s.sold
"""


@pytest.fixture
async def inventory(database: Login) -> AsyncIterator[Participant]:
    async with serve(service, database) as participant:
        yield participant
    with psycopg.connect(database.url) as connection:
        assert connection.execute(LEDGER).fetchall() == [], "a product's stock is not what its movements add up to"


async def product(inventory: Participant, on_hand: int) -> str:
    product_id = str(uuid.uuid4())
    reply = await inventory.client.put(f"/stock/{product_id}", json={"onHand": on_hand})
    assert reply.status_code == 200, reply.text
    return product_id


async def pieces(inventory: Participant, product_id: str) -> tuple[int, int]:
    """On hand and reserved, of a product of which nothing is sold."""
    found = (await inventory.client.get(f"/stock/{product_id}")).json()
    assert found["sold"] == 0
    return found["onHand"], found["reserved"]


def items(*wanted: tuple[str, Any]) -> dict[str, Any]:
    return {"items": [{"productId": p, "quantity": n, "price": "29.99"} for p, n in wanted]}


def slug(reply: Any) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition(":")[2]


async def test_a_reservation_keeps_pieces_and_its_release_gives_them_back(inventory: Participant) -> None:
    a, b = await product(inventory, 10), await product(inventory, 5)
    saga = inventory.saga("reserve-inventory")
    with capture_logs() as logged:
        reserved = await saga.action("/reservations", items((a, 2), (b, 1), (a, 1)))
    assert reserved.status_code == 201
    assert f"Inventory reservation {reserved.json()['reservationId']} made" in [entry["event"] for entry in logged]
    assert (await pieces(inventory, a), await pieces(inventory, b)) == ((7, 3), (4, 1))
    (found,) = (await inventory.client.get("/reservations", params={"sagaId": saga.saga_id})).json()
    assert (found["id"], found["status"]) == (reserved.json()["reservationId"], "reserved")
    with capture_logs() as logged:
        assert (await saga.compensation("/reservations/release")).status_code == 200
    assert f"Inventory reservation {reserved.json()['reservationId']} released" in [entry["event"] for entry in logged]
    assert (await pieces(inventory, a), await pieces(inventory, b)) == ((10, 0), (5, 0))
    (found,) = (await inventory.client.get("/reservations", params={"sagaId": saga.saga_id})).json()
    assert (found["status"], found["releasedAt"] is None) == ("released", False)


def next_step(saga: SagaCall, step: str) -> SagaCall:
    return SagaCall(client=saga.client, saga_id=saga.saga_id, step=step)


async def test_a_sale_takes_the_reserved_pieces_once_and_stands(inventory: Participant) -> None:
    a = await product(inventory, 10)
    saga = inventory.saga("reserve-inventory")
    await saga.action("/reservations", items((a, 2), (a, 1)))
    sale = next_step(saga, "sell-inventory")
    for _ in range(2):
        sold = await sale.action("/reservations/sell", {})
        assert (sold.status_code, sold.json()["status"]) == (200, "sold")
    found = (await inventory.client.get(f"/stock/{a}")).json()
    assert (found["onHand"], found["reserved"], found["sold"]) == (7, 0, 3)
    (reservation,) = (await inventory.client.get("/reservations", params={"sagaId": saga.saga_id})).json()
    assert (reservation["status"], reservation["soldAt"] is None) == ("sold", False)
    assert slug(await saga.compensation("/reservations/release")) == (409, "reservation-sold")
    assert (await inventory.client.get(f"/stock/{a}")).json() == found


async def test_only_a_standing_reservation_can_be_sold(inventory: Participant) -> None:
    a = await product(inventory, 10)
    nothing = inventory.saga("sell-inventory")
    assert slug(await nothing.action("/reservations/sell", {})) == (409, "nothing-reserved")
    saga = inventory.saga("reserve-inventory")
    await saga.action("/reservations", items((a, 2)))
    await saga.compensation("/reservations/release")
    refused = await next_step(saga, "sell-inventory").action("/reservations/sell", {})
    assert slug(refused) == (409, "nothing-reserved")
    assert await pieces(inventory, a) == (10, 0)


async def test_too_little_of_one_product_reserves_nothing_of_any(inventory: Participant) -> None:
    a, b = await product(inventory, 10), await product(inventory, 1)
    refused = await inventory.saga().action("/reservations", items((a, 1), (b, 2)))
    assert slug(refused) == (409, "insufficient-stock")
    assert b in refused.json()["detail"]
    assert (await pieces(inventory, a), await pieces(inventory, b)) == ((10, 0), (1, 0))
    assert inventory.rows("SELECT * FROM inventory.reservations") == []


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
async def test_a_quantity_out_of_bounds_is_refused(inventory: Participant, quantity: int) -> None:
    a = await product(inventory, 10)
    assert slug(await inventory.saga().action("/reservations", items((a, quantity)))) == (422, "invalid-quantity")


@pytest.mark.parametrize("quantity", [1.5, "2", None, True])
async def test_a_quantity_that_is_not_a_whole_number_does_not_fit(inventory: Participant, quantity: object) -> None:
    a = await product(inventory, 10)
    assert slug(await inventory.saga().action("/reservations", items((a, quantity)))) == (422, "request-invalid")


async def test_an_unknown_product_is_refused(inventory: Participant) -> None:
    refused = await inventory.saga().action("/reservations", items((str(uuid.uuid4()), 1)))
    assert slug(refused) == (422, "unknown-product")


async def test_a_second_reservation_for_a_saga_is_impossible_even_under_another_step(inventory: Participant) -> None:
    a = await product(inventory, 10)
    saga = inventory.saga("one")
    await saga.action("/reservations", items((a, 1)))
    second = type(saga)(client=saga.client, saga_id=saga.saga_id, step="two")
    assert slug(await second.action("/reservations", items((a, 1)))) == (409, "constraint-broken")
    assert await pieces(inventory, a) == (9, 1)


async def test_sagas_at_once_never_reserve_more_than_there_is(inventory: Participant) -> None:
    a = await product(inventory, 5)
    replies = await asyncio.gather(*(inventory.saga().action("/reservations", items((a, 1))) for _ in range(12)))
    assert sorted(reply.status_code for reply in replies) == [201] * 5 + [409] * 7
    assert await pieces(inventory, a) == (0, 5)


async def test_first_counts_at_once_leave_a_ledger_that_adds_up(inventory: Participant) -> None:
    product_id = str(uuid.uuid4())
    counts = [inventory.client.put(f"/stock/{product_id}", json={"onHand": n}) for n in (3, 5, 7, 9)]
    assert {reply.status_code for reply in await asyncio.gather(*counts)} == {200}
    assert (await pieces(inventory, product_id))[0] in (3, 5, 7, 9)


async def test_a_new_count_does_not_touch_reservations(inventory: Participant) -> None:
    a = await product(inventory, 10)
    await inventory.saga().action("/reservations", items((a, 4)))
    assert (await inventory.client.put(f"/stock/{a}", json={"onHand": 100})).json()["reserved"] == 4


@pytest.mark.parametrize("body", [{"onHand": -1}, {"onHand": "3"}, {"onHand": 3, "reserved": 1}, {}])
async def test_a_count_that_makes_no_sense_is_refused(inventory: Participant, body: dict[str, Any]) -> None:
    assert slug(await inventory.client.put(f"/stock/{uuid.uuid4()}", json=body)) == (422, "request-invalid")


async def test_stock_is_listed_page_by_page(inventory: Participant) -> None:
    products = sorted([await product(inventory, n) for n in range(5)])
    first = (await inventory.client.get("/stock", params={"limit": 2})).json()
    rest = (await inventory.client.get("/stock", params={"after": first[-1]["productId"]})).json()
    assert [row["productId"] for row in first + rest] == products


async def test_stock_has_the_products_name_once_its_copy_has_arrived(inventory: Participant) -> None:
    a = await product(inventory, 3)
    assert (await inventory.client.get(f"/stock/{a}")).json()["name"] is None
    copy_to_inventory(inventory, a, "Mouse")
    assert [row["name"] for row in (await inventory.client.get("/stock")).json()] == ["Mouse"]
    (copied,) = (await inventory.client.get("/products")).json()
    assert copied == (await inventory.client.get(f"/products/{a}")).json()
    assert (copied["catalogProductId"], copied["name"]) == (a, "Mouse")
    assert slug(await inventory.client.put(f"/products/{a}", json={})) == (405, "method-not-allowed")
    assert slug(await inventory.client.get(f"/products/{uuid.uuid4()}")) == (404, "not-copied")


async def test_the_ledger_cannot_be_rewritten(inventory: Participant) -> None:
    await product(inventory, 3)
    for statement in ("UPDATE", "DELETE FROM", "TRUNCATE"):
        change = " SET kind = 'count'" if statement == "UPDATE" else ""
        with (
            psycopg.connect(inventory.login.url) as connection,
            pytest.raises(psycopg.errors.RaiseException, match="append-only"),
        ):
            connection.execute(f"{statement} inventory.stock_movements{change}".encode())


async def reserve_crosswise(inventory: Participant, a: str, b: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two sagas take the same two products in opposite order; each has its first lock before either asks for its
    second, unless their locks are ordered (then the second saga waits for its first). Returns the answers."""
    lock, first_locks = stock.lock, asyncio.Barrier(2)
    seen: set[int] = set()

    async def stepwise(connection: psycopg.AsyncConnection[Any], product_id: uuid.UUID) -> int | None:
        found = await lock(connection, product_id)
        if id(connection) not in seen:
            seen.add(id(connection))
            # No answer: the other saga waits for our lock, and cannot come.
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                await asyncio.wait_for(first_locks.wait(), timeout=2)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stock, "lock", stepwise)
        replies = await asyncio.gather(
            inventory.saga().action("/reservations", items((a, 1), (b, 1))),
            inventory.saga().action("/reservations", items((b, 1), (a, 1))),
        )
    return sorted(reply.status_code for reply in replies)


async def test_sagas_that_want_the_same_products_crosswise_do_not_deadlock(
    inventory: Participant, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = await product(inventory, 10), await product(inventory, 10)
    assert await reserve_crosswise(inventory, a, b, monkeypatch) == [201, 201]


async def test_without_the_order_of_locks_they_do(inventory: Participant, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_given(wanted: Iterable[tuple[uuid.UUID, int]]) -> list[tuple[uuid.UUID, int]]:
        return list(wanted)

    a, b = await product(inventory, 10), await product(inventory, 10)
    monkeypatch.setattr(reservations, "wanted", as_given)
    assert await reserve_crosswise(inventory, a, b, monkeypatch) == [201, 503]
