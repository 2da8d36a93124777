"""Payments over HTTP: money taken once, given back once, never more than was taken (I1, I5)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb
from structlog.testing import capture_logs

from kompensa_dev.postgres import Login
from payments.app import service
from tests.integration.conftest_participants import Participant, serve

ANA, BOB = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
LEDGER = """
SELECT p.id FROM payments.payments p LEFT JOIN payments.entries e ON e.payment_id = p.id
 GROUP BY p.id
HAVING p.captured <> coalesce(sum(e.amount) FILTER (WHERE e.kind = 'capture'), 0)
    OR p.refunded <> coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refund'), 0)
"""


@pytest.fixture
async def payments(database: Login) -> AsyncIterator[Participant]:
    """Payments with the copies of two customers: Ana has three payment methods, Bob one."""
    async with serve(service, database) as participant:
        copy(participant, ANA, "pm-abc", "pm-empty", "pm-unknown")
        copy(participant, BOB, "pm-bob")
        yield participant
    with psycopg.connect(database.url) as connection:
        assert connection.execute(LEDGER).fetchall() == [], "a payment is not what its entries add up to"


def copy(payments: Participant, customer: str, *methods: str) -> None:
    """Write the copy as the replica worker does, with the service's own login."""
    with psycopg.connect(payments.login.url) as connection:
        connection.execute(
            "INSERT INTO payments.customers (orders_customer_id, payment_methods, source_version, synced_at)"
            " VALUES (%s, %s, 1, now())",
            (customer, Jsonb([{"id": method, "type": "pix"} for method in methods])),
        )


async def fund(payments: Participant, balance: str, *, method: str = "pm-abc") -> None:
    reply = await payments.client.put(f"/payment-methods/{method}", json={"balance": balance})
    assert reply.status_code == 200, reply.text


async def balance(payments: Participant, method: str = "pm-abc") -> str:
    found: str = (await payments.client.get(f"/payment-methods/{method}")).json()["balance"]
    return found


def pay(amount: object = "209.97", method: str = "pm-abc", customer: str = ANA) -> dict[str, Any]:
    return {"customerId": customer, "amount": amount, "paymentMethodId": method}


def slug(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition(":")[2]


async def test_a_payment_is_taken_and_its_refund_gives_all_of_it_back(payments: Participant) -> None:
    await fund(payments, "1000.00")
    saga = payments.saga("process-payment")
    paid = await saga.action("/payments", pay())
    assert (paid.status_code, await balance(payments)) == (201, "790.03")
    (found,) = (await payments.client.get("/payments", params={"sagaId": saga.saga_id})).json()
    assert (found["id"], found["captured"], found["refunded"]) == (paid.json()["paymentId"], "209.97", "0.00")
    assert (await saga.compensation("/payments/refund")).status_code == 200
    (found,) = (await payments.client.get("/payments", params={"sagaId": saga.saga_id})).json()
    assert (found["captured"], found["refunded"], await balance(payments)) == ("209.97", "209.97", "1000.00")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (pay(method="pm-empty"), "insufficient funds"),
        (pay(method="pm-unknown"), "not known"),
        (pay(method="pm-bob"), "does not belong"),
        (pay(amount="1000.01"), "insufficient funds"),
    ],
)
async def test_a_declined_payment_says_why_and_takes_nothing(
    payments: Participant, body: dict[str, Any], told: str
) -> None:
    await fund(payments, "1000.00")
    await fund(payments, "0.00", method="pm-empty")
    await fund(payments, "1000.00", method="pm-bob")
    declined = await payments.saga().action("/payments", body)
    assert slug(declined) == (422, "payment-declined")
    assert told in declined.json()["detail"]
    assert payments.rows("SELECT * FROM payments.payments") == []
    assert (await balance(payments), await balance(payments, "pm-bob")) == ("1000.00", "1000.00")


async def test_while_the_customers_copy_is_on_its_way_the_answer_is_ask_again(payments: Participant) -> None:
    await fund(payments, "1000.00")
    new = str(uuid.UUID(int=9))
    saga, body = payments.saga(), pay(customer=new)
    early = await saga.action("/payments", body)
    assert (slug(early), early.headers["retry-after"]) == ((503, "customer-not-copied"), "1")
    assert (await saga.probe("action"))["state"] == "Absent"
    copy(payments, new, "pm-abc")
    assert (await saga.action("/payments", body)).status_code == 201


async def test_a_deleted_customer_cannot_pay(payments: Participant) -> None:
    await fund(payments, "1000.00")
    with psycopg.connect(payments.login.url) as connection:
        connection.execute("UPDATE payments.customers SET deleted_at = now(), payment_methods = NULL")
    assert slug(await payments.saga().action("/payments", pay())) == (422, "customer-deleted")
    assert (await payments.client.get("/customers")).json() == []
    assert slug(await payments.client.get(f"/customers/{ANA}")) == (404, "not-copied")


async def test_payment_methods_have_one_writer(payments: Participant) -> None:
    """S77: orders. Here they are read, and only the balance behind one is written."""
    (ana, bob) = (await payments.client.get("/customers")).json()
    assert ana == (await payments.client.get(f"/customers/{ANA}")).json()
    assert [method["id"] for method in bob["paymentMethods"]] == ["pm-bob"]
    assert slug(await payments.client.put(f"/customers/{ANA}", json={})) == (405, "method-not-allowed")
    reply = await payments.client.put("/payment-methods/pm-abc", json={"balance": "1.00", "customerId": BOB})
    assert slug(reply) == (422, "request-invalid")


async def test_each_effect_is_logged_once_and_after_its_commit(payments: Participant) -> None:
    """S80."""
    await fund(payments, "1000.00")
    saga = payments.saga()
    with capture_logs() as logged:
        await saga.action("/payments", pay(), Kompensa_Fault="fail-before-commit; status=500")
        paid = (await saga.action("/payments", pay())).json()["paymentId"]
        await saga.action("/payments", pay())
        await payments.saga().action("/payments", pay(amount="5000.00"))
        for _ in range(2):
            await saga.compensation("/payments/refund")
        await payments.saga().compensation("/payments/refund")
    lines = [entry["event"] for entry in logged if entry["event"].startswith("Payment")]
    assert lines == [f"Payment {paid} captured", f"Payment {paid} refunded"]


@pytest.mark.parametrize("amount", [209.97, 210, "0.00", "-1.00", "1.999", "NaN"])
async def test_an_amount_that_is_not_money_is_refused(payments: Participant, amount: object) -> None:
    refused = await payments.saga().action("/payments", pay(amount=amount))
    assert slug(refused) == (422, "request-invalid")
    assert refused.json()["errors"][0]["field"] == "amount"


async def test_a_float_is_rejected_with_the_form_of_an_amount(payments: Participant) -> None:
    refused = await payments.saga().action("/payments", pay(amount=209.97))
    assert 'such as "29.99"' in refused.json()["detail"]


async def test_sagas_at_once_never_spend_more_than_there_is(payments: Participant) -> None:
    await fund(payments, "1.00")
    replies = await asyncio.gather(*(payments.saga().action("/payments", pay(amount="0.30")) for _ in range(8)))
    assert sorted(reply.status_code for reply in replies) == [201] * 3 + [422] * 5
    assert await balance(payments) == "0.10"


async def test_refunds_at_once_give_back_once(payments: Participant) -> None:
    await fund(payments, "1000.00")
    saga = payments.saga()
    await saga.action("/payments", pay())
    replies = await asyncio.gather(*(saga.compensation("/payments/refund") for _ in range(6)))
    assert {reply.status_code for reply in replies} == {200}
    assert await balance(payments) == "1000.00"


async def test_the_database_itself_bears_no_refund_above_the_capture(payments: Participant) -> None:
    await fund(payments, "1000.00")
    await payments.saga().action("/payments", pay())
    with psycopg.connect(payments.login.url) as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute("UPDATE payments.payments SET refunded = captured + 0.01")


async def test_the_database_itself_bears_no_second_entry_of_a_kind(payments: Participant) -> None:
    await fund(payments, "1000.00")
    await payments.saga().action("/payments", pay())
    copy = "INSERT INTO payments.entries (payment_id, saga_id, kind, amount) SELECT payment_id, saga_id, kind, amount"
    with psycopg.connect(payments.login.url) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(f"{copy} FROM payments.entries".encode())


async def test_no_card_number_can_be_stored(payments: Participant) -> None:
    reply = await payments.client.put("/payment-methods/pm-x", json={"balance": "1.00", "cardNumber": "4111"})
    assert slug(reply) == (422, "request-invalid")
    assert reply.json()["errors"][0]["field"] == "cardNumber"


async def test_an_unknown_method_is_not_found(payments: Participant) -> None:
    assert slug(await payments.client.get("/payment-methods/pm-none")) == (404, "unknown-payment-method")
