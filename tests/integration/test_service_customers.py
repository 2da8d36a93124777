"""Customers at their authority: each change is an event in the same transaction, versions 1, 2, 3 (F7, I8, S19-S23)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from alembic import command
from alembic.util import CommandError

from kompensa_dev.postgres import Login, PostgresServer
from kompensa_participant import OutboxEvent, publish
from kompensa_participant.migrations import config, migrate
from orders.adapters import customers
from orders.app import service
from tests.integration.conftest_participants import Participant, serve
from tests.support.shop import ADDRESS

Tell = Callable[[psycopg.AsyncConnection[Any], OutboxEvent], Awaitable[None]]

PHONE = "+55 11 99999-0000"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def orders(database: Login) -> AsyncIterator[Participant]:
    async with serve(service, database) as participant:
        yield participant


def form(**changes: Any) -> dict[str, Any]:
    return {
        "email": "ana@example.com",
        "document": "12345678901",
        "fullName": "Ana Souza",
        "phone": PHONE,
        "shippingAddress": ADDRESS,
        "billingAddress": {**ADDRESS, "number": "43"},
        "paymentMethods": [{"id": "pm-abc", "type": "credit_card", "lastFourDigits": "4242", "expiryDate": "2030-12"}],
        **changes,
    }


def slug(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition(":")[2]


def events(orders: Participant, aggregate_type: str = "customer") -> list[dict[str, Any]]:
    query = "SELECT * FROM orders.outbox WHERE aggregate_type = %s ORDER BY aggregate_id, aggregate_version"
    return orders.rows(query, aggregate_type)


async def create(orders: Participant, **changes: Any) -> dict[str, Any]:
    reply = await orders.client.post("/customers", json=form(**changes), headers={"traceparent": TRACE})
    assert reply.status_code == 201, reply.text
    created: dict[str, Any] = reply.json()
    return created


async def test_a_customer_has_every_field_and_its_event_the_full_state(orders: Participant) -> None:
    ana = await create(orders)
    assert {name: ana[name] for name in form()} == form()
    (event,) = events(orders)
    assert str(event["aggregate_id"]) == ana["id"]
    assert (event["aggregate_type"], event["aggregate_version"]) == ("customer", 1)
    assert (event["event_type"], event["event_version"]) == ("customer-created", "1.0")
    assert event["traceparent"] == TRACE
    shared = {name: value for name, value in form().items() if name != "paymentMethods"}
    times = {name: event["payload"][name] for name in ("createdAt", "updatedAt")}
    assert event["payload"] == {"customerId": ana["id"], **shared, **times}
    assert all(moment.endswith("Z") for moment in times.values())


async def test_every_change_is_one_event_with_the_next_version(orders: Participant) -> None:
    ana = await create(orders)
    path = f"/customers/{ana['id']}"
    changed = (await orders.client.put(path, json=form(fullName="Ana Lima", phone=None))).json()
    assert (changed["version"], changed["fullName"], changed["phone"]) == (2, "Ana Lima", None)
    assert (await orders.client.delete(path)).status_code == 204
    told = [(e["aggregate_version"], e["event_type"]) for e in events(orders)]
    assert told == [(1, "customer-created"), (2, "customer-updated"), (3, "customer-deleted")]
    assert "phone" not in events(orders)[1]["payload"]
    assert events(orders)[2]["payload"].keys() == {"customerId", "deletedAt"}


async def test_payment_methods_leave_in_events_of_their_own(orders: Participant) -> None:
    """S77: with the versions of the customer, so that the deletion of the customer comes after them."""
    path = f"/customers/{(await create(orders))['id']}"
    await orders.client.put(path, json=form(paymentMethods=[{"id": "pm-new", "type": "pix"}]))
    await orders.client.delete(path)
    told = events(orders, "customer-payment-methods")
    assert [(e["aggregate_version"], e["event_type"]) for e in told] == [
        (1, "payment-methods-changed"),
        (2, "payment-methods-changed"),
    ]
    assert [e["payload"]["paymentMethods"] for e in told] == [
        form()["paymentMethods"],
        [{"id": "pm-new", "type": "pix"}],
    ]


async def test_payment_methods_of_customers_of_the_version_before_are_published(database: Login) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA orders")
        command.upgrade(config("orders", url=database.url, schema="orders"), "0003")
        connection.execute(
            "INSERT INTO orders.customers (email, document, full_name, shipping_address, billing_address,"
            " payment_methods, version, deleted_at) VALUES"
            " ('a@example.com', '1', 'Ana', '{}', '{}', '[{\"id\": \"pm-abc\", \"type\": \"pix\"}]', 7, NULL),"
            " ('b@example.com', '', '', '{}', '{}', '[]', 8, now())"
        )
    async with serve(service, database) as orders:
        (event,) = events(orders, "customer-payment-methods")
        assert event["aggregate_version"] == 7
        assert event["payload"]["paymentMethods"] == [{"id": "pm-abc", "type": "pix"}]
        assert event["payload"]["updatedAt"].endswith("Z")


async def test_customers_that_a_pod_of_the_version_before_changes_during_the_upgrade_are_published(
    orders: Participant,
) -> None:
    """It writes the row and the event of the customer, but not that of the payment methods."""
    ana = (await create(orders))["id"]
    with psycopg.connect(orders.login.url) as connection:
        connection.execute(
            'UPDATE orders.customers SET version = 2, payment_methods = \'[{"id": "pm-new", "type": "pix"}]\''
        )
    (_, event) = events(orders, "customer-payment-methods")
    assert (str(event["aggregate_id"]), event["aggregate_version"], event["event_type"]) == (
        ana,
        2,
        "payment-methods-changed",
    )
    assert event["payload"]["paymentMethods"] == [{"id": "pm-new", "type": "pix"}]
    with psycopg.connect(orders.login.url) as connection:
        connection.execute("UPDATE orders.customers SET version = 3, deleted_at = now()")
    assert len(events(orders, "customer-payment-methods")) == 2


async def test_changes_at_once_get_versions_without_hole_or_double(orders: Participant) -> None:
    path = f"/customers/{(await create(orders))['id']}"
    replies = await asyncio.gather(*(orders.client.put(path, json=form(fullName=f"Ana {n}")) for n in range(15)))
    assert {reply.status_code for reply in replies} == {200}
    assert [event["aggregate_version"] for event in events(orders)] == list(range(1, 17))
    last = orders.value("SELECT full_name FROM orders.customers")
    assert events(orders)[-1]["payload"]["fullName"] == last


async def test_a_deleted_customer_is_gone_and_nothing_personal_stays(orders: Participant) -> None:
    path = f"/customers/{(await create(orders))['id']}"
    await orders.client.delete(path)
    for reply in (
        await orders.client.get(path),
        await orders.client.put(path, json=form()),
        await orders.client.delete(path),
    ):
        assert slug(reply) == (404, "unknown-customer")
    assert (await orders.client.get("/customers")).json() == []
    (row,) = orders.rows("SELECT * FROM orders.customers")
    assert row["deleted_at"] is not None
    assert "Ana" not in str(row)
    assert "ana@" not in str(row)
    assert await create(orders)


async def test_an_email_belongs_to_one_customer(orders: Participant) -> None:
    await create(orders)
    assert slug(await orders.client.post("/customers", json=form())) == (409, "email-taken")
    bob = await create(orders, email="bob@example.com")
    assert slug(await orders.client.put(f"/customers/{bob['id']}", json=form())) == (409, "email-taken")
    assert len(events(orders)) == 2


async def test_an_email_belongs_to_one_customer_in_any_case(orders: Participant) -> None:
    ana = await create(orders)
    assert slug(await orders.client.post("/customers", json=form(email="ANA@Example.com"))) == (409, "email-taken")
    changed = await orders.client.put(f"/customers/{ana['id']}", json=form(email="Ana@Example.com"))
    assert (changed.status_code, changed.json()["email"]) == (200, "Ana@Example.com")


def test_customers_of_one_email_in_two_cases_stop_the_migration_and_stay(database: Login) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA orders")
        command.upgrade(config("orders", url=database.url, schema="orders"), "0001")
        connection.execute("SET search_path = orders")
        ids = [
            connection.execute(
                "INSERT INTO customers (email, document, full_name, shipping_address, billing_address, payment_methods)"
                " VALUES (%s, '1', 'Ana', '{}', '{}', '[]') RETURNING id::text",
                [email],
            ).fetchall()[0][0]
            for email in ("ana@example.com", "ANA@example.com")
        ]
        with pytest.raises(CommandError) as refused:
            migrate("orders", url=database.url, schema="orders")
        assert all(customer in str(refused.value) for customer in ids)
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (2,)
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
        connection.execute("UPDATE customers SET email = 'ana.2@example.com' WHERE email = 'ANA@example.com'")
        migrate("orders", url=database.url, schema="orders")


async def test_a_change_can_require_that_no_other_came_before(orders: Participant) -> None:
    path = f"/customers/{(await create(orders))['id']}"
    read = (await orders.client.get(path)).headers["etag"]
    assert read == '"1"'
    changed = await orders.client.put(path, json=form(fullName="Ana Lima"), headers={"If-Match": read})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    for stale in (read, '"99"', 'W/"2"', "2", '"x"'):
        late = await orders.client.put(path, json=form(fullName="Ana Reis"), headers={"If-Match": stale})
        assert slug(late) == (412, "version-mismatch"), stale
        assert 'If-Match: "2"' in late.json()["detail"]
        assert slug(await orders.client.delete(path, headers={"If-Match": stale})) == (412, "version-mismatch")
    assert (await orders.client.get(path)).json()["fullName"] == "Ana Lima"
    assert len(events(orders)) == 2


@pytest.mark.parametrize("matched", ["*", '"1"', '"7", "1"'])
async def test_a_change_that_matches_is_made(orders: Participant, matched: str) -> None:
    path = f"/customers/{(await create(orders))['id']}"
    assert (await orders.client.put(path, json=form(), headers={"If-Match": matched})).status_code == 200


async def test_of_changes_at_once_to_one_version_one_is_made(orders: Participant) -> None:
    path = f"/customers/{(await create(orders))['id']}"
    once = {"If-Match": '"1"'}
    replies = await asyncio.gather(*(orders.client.put(path, json=form(), headers=once) for _ in range(10)))
    assert sorted(reply.status_code for reply in replies) == [200] + [412] * 9
    assert len(events(orders)) == 2


async def test_an_absent_customer_cannot_match(orders: Participant) -> None:
    path, headers = f"/customers/{uuid.uuid4()}", {"If-Match": '"1"'}
    assert slug(await orders.client.put(path, json=form(), headers=headers)) == (404, "unknown-customer")


async def test_an_event_has_the_keys_saga_and_no_trace_of_another_form(orders: Participant) -> None:
    key, other = uuid.uuid4(), uuid.uuid4()
    headers = {"Idempotency-Key": f"{key}/a-step/action", "Saga-Id": str(other), "traceparent": "x" * 60_000}
    assert (await orders.client.post("/customers", json=form(), headers=headers)).status_code == 201
    assert [(event["saga_id"], event["traceparent"]) for event in events(orders)] == [(key, None)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": "ana"}, "email"),
        ({"document": "123456789012345"}, "document"),
        ({"fullName": ""}, "fullName"),
        ({"shippingAddress": {"street": "Rua"}}, "shippingAddress.number"),
        ({"paymentMethods": [{"id": "x", "type": "cash"}]}, "paymentMethods.0.type"),
        ({"paymentMethods": [{"id": "x", "type": "pix", "cardNumber": "4111"}]}, "paymentMethods.0.cardNumber"),
        ({"vip": True}, "vip"),
    ],
)
async def test_a_form_that_does_not_fit_names_the_field(
    orders: Participant, changes: dict[str, Any], field: str
) -> None:
    reply = await orders.client.post("/customers", json=form(**changes))
    assert slug(reply) == (422, "request-invalid")
    assert field in {error["field"] for error in reply.json()["errors"]}


@pytest.mark.parametrize("name", ["Ana\x00", "Ana\ud800"])
async def test_text_that_cannot_be_stored_is_refused(orders: Participant, name: str) -> None:
    body = f'{{"fullName": {ascii(name)!s}}}'.replace("'", '"').replace("\\x00", "\\u0000")
    valid = httpx.Request("POST", "http://x", json=form()).content.decode()
    spoilt = valid.replace('"fullName":"Ana Souza"', body.strip("{}"))
    assert spoilt != valid
    reply = await orders.client.post("/customers", content=spoilt, headers={"Content-Type": "application/json"})
    assert slug(reply) == (422, "request-invalid")
    assert events(orders) == []


async def test_a_passport_is_a_document(orders: Participant) -> None:
    assert (await create(orders, document="P1234567"))["document"] == "P1234567"


async def test_customers_are_listed_page_by_page(orders: Participant) -> None:
    ids = sorted([(await create(orders, email=f"c{n}@example.com"))["id"] for n in range(3)])
    first = (await orders.client.get("/customers", params={"limit": 2})).json()
    rest = (await orders.client.get("/customers", params={"after": first[-1]["id"]})).json()
    assert [row["id"] for row in first + rest] == ids


async def cut_off_after_the_event(
    orders: Participant, postgres: PostgresServer, patch: pytest.MonkeyPatch, tell: Tell = publish
) -> tuple[int, int]:
    """A customer is created, and the connection dies when row and event are written. Returns how many of each stay."""

    async def tell_and_die(connection: psycopg.AsyncConnection[Any], event: OutboxEvent) -> None:
        await tell(connection, event)
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

    with patch.context() as inner:
        inner.setattr(customers, "publish", tell_and_die)
        reply = await orders.client.post("/customers", json=form(email=f"{uuid.uuid4().hex}@example.com"))
    assert slug(reply) == (503, "database-unavailable")
    return orders.value("SELECT count(*) FROM orders.customers"), len(events(orders))


async def test_a_crash_before_the_commit_leaves_neither_row_nor_event(
    orders: Participant, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await cut_off_after_the_event(orders, postgres, monkeypatch) == (0, 0)
    assert await create(orders)


async def test_with_an_event_outside_the_transaction_the_same_crash_announces_no_customer(
    orders: Participant, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dual_write(_: psycopg.AsyncConnection[Any], event: OutboxEvent) -> None:
        options = "-c search_path=orders"
        async with await psycopg.AsyncConnection.connect(orders.login.url, options=options) as other:
            await publish(other, event)

    assert await cut_off_after_the_event(orders, postgres, monkeypatch, tell=dual_write) == (0, 1)
