"""Invoices over HTTP, made out to the copy of a customer; and both services' copies as they are read (S18-S21, S30)."""

from __future__ import annotations

import importlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from alembic import command
from psycopg.types.json import Jsonb
from structlog.testing import capture_logs

from invoices.app import service
from kompensa_dev.postgres import Login
from kompensa_participant.migrations import config
from tests.integration.conftest_participants import Participant, serve
from tests.support.shop import ADDRESS

ANA = str(uuid.UUID(int=1))
ISSUED_BEFORE = """
WITH customer AS (
    INSERT INTO customers (orders_customer_id, email, document, full_name, billing_address, source_version, synced_at,
                           deleted_at)
    VALUES (gen_random_uuid(), 'a@example.com', '12345678901', 'Ana Souza', %(address)s, 1, now(), %(deleted)s)
    RETURNING id, orders_customer_id
), invoice AS (
    INSERT INTO invoices (id, invoice_number, saga_id, customer_id, orders_customer_id, orders_order_id, total_amount,
                          status)
    SELECT gen_random_uuid(), %(number)s, gen_random_uuid(), id, orders_customer_id, gen_random_uuid(), 1, 'issued'
      FROM customer
    RETURNING id
)
INSERT INTO invoice_items (invoice_id, position, catalog_product_id, product_name, quantity, unit_price, total_price)
SELECT id, 1, gen_random_uuid(), 'Mouse', 1, 1, 1 FROM invoice
"""
MOUSE, SCREEN = str(uuid.UUID(int=11)), str(uuid.UUID(int=12))


@pytest.fixture
async def invoices(database: Login) -> AsyncIterator[Participant]:
    async with serve(service, database) as participant:
        yield participant


def copy(invoices: Participant, *, customer: str = ANA, document: str = "12345678901", deleted: bool = False) -> None:
    """Write a customer as the replica worker does, with the service's own login."""
    with psycopg.connect(invoices.login.url) as connection:
        connection.execute(
            "INSERT INTO invoices.customers (orders_customer_id, email, document, full_name, billing_address,"
            " source_version, synced_at, deleted_at) VALUES (%s, %s, %s, %s, %s, 1, now(), %s)",
            (customer, "ana@example.com", document, "Ana Souza", Jsonb(ADDRESS), "2026-01-01Z" if deleted else None),
        )


def invoice(**changes: Any) -> dict[str, Any]:
    items = [
        {"productId": MOUSE, "name": "Mouse", "quantity": 2, "price": "29.99"},
        {"productId": SCREEN, "name": "Screen", "quantity": 1, "price": "149.99"},
    ]
    return {"orderId": str(uuid.uuid4()), "customerId": ANA, "totalAmount": "209.97", "items": items, **changes}


def slug(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition(":")[2]


async def test_an_invoice_is_made_out_to_the_local_copy(invoices: Participant) -> None:
    copy(invoices)
    body = invoice()
    issued = await invoices.saga("issue-invoice").action("/invoices", body)
    assert issued.status_code == 201
    found = (await invoices.client.get(f"/invoices/{issued.json()['invoiceId']}")).json()
    assert found["invoiceNumber"] == issued.json()["invoiceNumber"]
    assert found["customerId"] == str(invoices.value("SELECT id FROM invoices.customers"))
    assert (found["ordersCustomerId"], found["orderId"]) == (ANA, body["orderId"])
    assert (found["status"], found["totalAmount"]) == ("issued", "209.97")
    assert [(i["productName"], i["quantity"], i["unitPrice"], i["totalPrice"]) for i in found["items"]] == [
        ("Mouse", 2, "29.99", "59.98"),
        ("Screen", 1, "149.99", "149.99"),
    ]
    assert len({uuid.UUID(item["id"]) for item in found["items"]}) == 2
    assert (await invoices.client.get(f"/invoices/{found['id']}")).json() == found, "ids of lines stay"


async def test_an_issued_invoice_keeps_its_recipient_when_the_customer_changes_and_is_deleted(
    invoices: Participant,
) -> None:
    """S29, retention as history: what the Replica does to the copy leaves the invoice as it was issued."""
    copy(invoices)
    issued = (await invoices.saga().action("/invoices", invoice())).json()["invoiceId"]
    with psycopg.connect(invoices.login.url) as connection:
        connection.execute(
            "UPDATE invoices.customers SET email = '', document = '', full_name = '', billing_address = '{}',"
            " deleted_at = now(), source_version = 2"
        )
    found = (await invoices.client.get(f"/invoices/{issued}")).json()
    until = found["recipient"].pop("retainedUntil")
    assert found["recipient"] == {"fullName": "Ana Souza", "document": "12345678901", "billingAddress": ADDRESS}
    assert until == f"{int(found['issuedAt'][:4]) + 6}-01-01"


async def test_invoices_of_the_version_before_get_recipient_and_line_ids(database: Login) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA invoices")
        command.upgrade(config("invoices", url=database.url, schema="invoices"), "0002")
        connection.execute("SET search_path = invoices")
        for number, deleted in (("INV-1", None), ("INV-2", "2026-01-01Z")):
            connection.execute(ISSUED_BEFORE, {"number": number, "deleted": deleted, "address": Jsonb(ADDRESS)})
    async with serve(service, database) as invoices:
        heads = (await invoices.client.get("/invoices")).json()
        found = {head["invoiceNumber"]: (await invoices.client.get(f"/invoices/{head['id']}")).json() for head in heads}
        assert found["INV-1"]["recipient"]["fullName"] == "Ana Souza"
        assert found["INV-2"]["recipient"] is None
        assert len({each["items"][0]["id"] for each in found.values()}) == 2


async def test_an_invoice_that_a_pod_of_the_version_before_issues_during_the_upgrade_has_its_recipient(
    invoices: Participant,
) -> None:
    with psycopg.connect(invoices.login.url) as connection:
        connection.execute("SET search_path = invoices")
        connection.execute(ISSUED_BEFORE, {"number": "INV-1", "deleted": None, "address": Jsonb(ADDRESS)})
    (head,) = (await invoices.client.get("/invoices")).json()
    assert (await invoices.client.get(f"/invoices/{head['id']}")).json()["recipient"]["fullName"] == "Ana Souza"


async def test_a_cancelled_invoice_keeps_its_row_and_number(invoices: Participant) -> None:
    copy(invoices)
    saga = invoices.saga()
    with capture_logs() as logged:
        issued = (await saga.action("/invoices", invoice())).json()
        assert (await saga.compensation("/invoices/cancel")).status_code == 200
    lines = [entry["event"] for entry in logged if entry["event"].startswith("Invoice")]
    assert lines == [f"Invoice {issued['invoiceId']} issued", f"Invoice {issued['invoiceId']} cancelled"]
    (found,) = (await invoices.client.get("/invoices", params={"sagaId": saga.saga_id})).json()
    assert (found["status"], found["invoiceNumber"]) == ("cancelled", issued["invoiceNumber"])


async def test_a_customers_invoices_are_found_by_the_id_that_orders_gave(invoices: Participant) -> None:
    copy(invoices)
    other = str(uuid.uuid4())
    copy(invoices, customer=other)
    for customer in (ANA, other):
        assert (await invoices.saga().action("/invoices", invoice(customerId=customer))).status_code == 201
    found = (await invoices.client.get("/invoices", params={"ordersCustomerId": other})).json()
    assert [each["ordersCustomerId"] for each in found] == [other]


async def test_while_the_copy_is_on_its_way_the_answer_is_ask_again(invoices: Participant) -> None:
    saga, body = invoices.saga(), invoice()
    early = await saga.action("/invoices", body)
    assert slug(early) == (503, "customer-not-copied")
    assert early.headers["retry-after"] == "1"
    assert (await saga.probe("action"))["state"] == "Absent"
    copy(invoices)
    assert (await saga.action("/invoices", body)).status_code == 201


async def test_an_invoice_cancelled_while_its_copy_was_on_its_way_is_never_issued(invoices: Participant) -> None:
    saga, body = invoices.saga(), invoice()
    await saga.action("/invoices", body)
    assert (await saga.compensation("/invoices/cancel")).status_code == 200
    copy(invoices)
    assert slug(await saga.action("/invoices", body)) == (409, "operation-cancelled")
    assert invoices.rows("SELECT * FROM invoices.invoices") == []


async def test_a_passport_is_not_billable(invoices: Participant) -> None:
    copy(invoices, document="P1234567")
    assert slug(await invoices.saga().action("/invoices", invoice())) == (422, "document-not-billable")
    assert invoices.rows("SELECT * FROM invoices.invoices") == []


async def test_a_deleted_customer_is_refused_for_good(invoices: Participant) -> None:
    copy(invoices, deleted=True)
    assert slug(await invoices.saga().action("/invoices", invoice())) == (422, "customer-deleted")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"totalAmount": "209.96"}, "total-mismatch"),
        ({"items": []}, "request-invalid"),
        ({"items": [{"productId": MOUSE, "name": "Mouse", "quantity": -7, "price": "29.99"}]}, "invalid-quantity"),
        ({"totalAmount": 209.97}, "request-invalid"),
    ],
)
async def test_an_invoice_that_does_not_add_up_is_refused(
    invoices: Participant, changes: dict[str, Any], refusal: str
) -> None:
    copy(invoices)
    assert slug(await invoices.saga().action("/invoices", invoice(**changes))) == (422, refusal)


@pytest.mark.parametrize("nameless", [{}, {"name": ""}])
async def test_a_line_without_the_products_name_is_refused_by_its_field(
    invoices: Participant, nameless: dict[str, Any]
) -> None:
    copy(invoices)
    items = [{"productId": MOUSE, "quantity": 7, "price": "29.99", **nameless}]
    refused = await invoices.saga().action("/invoices", invoice(items=items, totalAmount="209.93"))
    assert slug(refused) == (422, "request-invalid")
    assert [error["field"] for error in refused.json()["errors"]] == ["items.0.name"]


async def test_an_order_has_one_standing_invoice(invoices: Participant) -> None:
    copy(invoices)
    body, first, second = invoice(), invoices.saga(), invoices.saga()
    await first.action("/invoices", body)
    assert slug(await second.action("/invoices", body)) == (409, "already-invoiced")
    await first.compensation("/invoices/cancel")
    assert (await invoices.saga().action("/invoices", body)).status_code == 201


async def test_numbers_are_unique_and_invoices_are_listed_page_by_page(invoices: Participant) -> None:
    copy(invoices)
    issued = [(await invoices.saga().action("/invoices", invoice())).json() for _ in range(3)]
    assert len({one["invoiceNumber"] for one in issued}) == 3
    first = (await invoices.client.get("/invoices", params={"limit": 2})).json()
    rest = (await invoices.client.get("/invoices", params={"after": first[-1]["id"]})).json()
    assert [row["id"] for row in first + rest] == sorted(one["invoiceId"] for one in issued)


@pytest.mark.parametrize("name", ["invoices", "shipping"])
async def test_copies_are_read_and_never_written_over_http(database: Login, name: str) -> None:
    async with serve(importlib.import_module(f"{name}.app").service, database) as participant:
        client = participant.client
        assert (await client.get("/customers")).json() == []
        assert slug(await client.get(f"/customers/{ANA}")) == (404, "not-copied")
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            path = "/customers" if method == "POST" else f"/customers/{ANA}"
            assert slug(await client.request(method, path, json={})) == (405, "method-not-allowed")


async def test_a_copy_shows_its_fields_and_a_deleted_one_is_not_shown(invoices: Participant) -> None:
    copy(invoices)
    (listed,) = (await invoices.client.get("/customers")).json()
    assert listed == (await invoices.client.get(f"/customers/{ANA}")).json()
    assert (listed["ordersCustomerId"], listed["billingAddress"]) == (ANA, ADDRESS)
    assert {"phone", "shippingAddress", "paymentMethods"}.isdisjoint(listed)
    with psycopg.connect(invoices.login.url) as connection:
        connection.execute("UPDATE invoices.customers SET deleted_at = now()")
    assert (await invoices.client.get("/customers")).json() == []
    assert slug(await invoices.client.get(f"/customers/{ANA}")) == (404, "not-copied")
