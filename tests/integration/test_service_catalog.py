"""Products at their authority: each change is an event in the same transaction, versions 1, 2, 3 (S27, S31, S32)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest

from catalog.adapters import products
from catalog.app import service
from kompensa_dev.postgres import Login, PostgresServer
from kompensa_participant import OutboxEvent, publish
from tests.integration.conftest_participants import Participant, serve

MOUSE = str(uuid.UUID(int=11))


@pytest.fixture
async def catalog(database: Login) -> AsyncIterator[Participant]:
    async with serve(service, database) as participant:
        yield participant


def form(**changes: Any) -> dict[str, Any]:
    return {"name": "Mouse", "description": "Two buttons", "price": "29.99", "currency": "BRL", **changes}


def slug(reply: httpx.Response) -> tuple[int, str]:
    return reply.status_code, reply.json()["type"].rpartition(":")[2]


def events(catalog: Participant) -> list[tuple[int, str]]:
    rows = catalog.rows("SELECT * FROM catalog.outbox ORDER BY aggregate_id, aggregate_version")
    assert {row["aggregate_type"] for row in rows} <= {"product"}
    return [(row["aggregate_version"], row["event_type"]) for row in rows]


async def create(catalog: Participant, **changes: Any) -> dict[str, Any]:
    reply = await catalog.client.post("/products", json=form(**changes))
    assert (reply.status_code, reply.headers["etag"]) == (201, '"1"'), reply.text
    created: dict[str, Any] = reply.json()
    return created


async def test_a_product_has_every_field_and_its_event_the_full_state(catalog: Participant) -> None:
    mouse = await create(catalog)
    assert {name: mouse[name] for name in form()} == form()
    assert (mouse["status"], mouse["version"]) == ("active", 1)
    assert (await catalog.client.get(f"/products/{mouse['id']}")).json() == mouse
    (event,) = catalog.rows("SELECT * FROM catalog.outbox")
    assert (str(event["aggregate_id"]), event["event_version"]) == (mouse["id"], "1.0")
    times = {name: event["payload"][name] for name in ("createdAt", "updatedAt")}
    assert event["payload"] == {"productId": mouse["id"], "status": "active", **form(), **times}


async def test_every_change_is_one_event_with_the_next_version(catalog: Participant) -> None:
    path = f"/products/{(await create(catalog))['id']}"
    changed = await catalog.client.put(path, json=form(price="39.99"))
    assert (changed.status_code, changed.json()["price"], changed.headers["etag"]) == (200, "39.99", '"2"')
    withdrawn = await catalog.client.post(f"{path}/withdraw")
    assert (withdrawn.json()["status"], withdrawn.headers["etag"]) == ("withdrawn", '"3"')
    assert (await catalog.client.delete(path)).status_code == 204
    assert events(catalog) == [
        (1, "product-created"),
        (2, "product-updated"),
        (3, "product-updated"),
        (4, "product-deleted"),
    ]
    last = catalog.rows("SELECT payload FROM catalog.outbox WHERE aggregate_version > 2 ORDER BY aggregate_version")
    assert last[0]["payload"]["status"] == "withdrawn"
    assert last[1]["payload"].keys() == {"productId", "deletedAt"}


async def test_a_product_can_have_the_id_of_an_older_system(catalog: Participant) -> None:
    path = f"/products/{MOUSE}"
    added = await catalog.client.put(path, json=form())
    assert (added.status_code, added.json()["id"], added.headers["etag"]) == (201, MOUSE, '"1"')
    assert (await catalog.client.put(path, json=form(name="Mouse 2"))).status_code == 200
    assert events(catalog) == [(1, "product-created"), (2, "product-updated")]


async def test_who_has_read_a_version_cannot_add_a_product(catalog: Participant) -> None:
    for tag in ('"1"', "*"):
        refused = await catalog.client.put(f"/products/{MOUSE}", json=form(), headers={"If-Match": tag})
        assert slug(refused) == (404, "unknown-product")
    assert events(catalog) == []


async def test_a_withdrawal_of_a_withdrawn_product_changes_nothing(catalog: Participant) -> None:
    path = f"/products/{(await create(catalog, status='withdrawn'))['id']}"
    for headers in ({}, {"If-Match": '"1"'}):
        again = await catalog.client.post(f"{path}/withdraw", headers=headers)
        assert (again.status_code, again.headers["etag"]) == (200, '"1"')
    stale = await catalog.client.post(f"{path}/withdraw", headers={"If-Match": '"7"'})
    assert slug(stale) == (412, "version-mismatch")
    assert events(catalog) == [(1, "product-created")]


async def test_a_withdrawn_product_can_be_offered_again(catalog: Participant) -> None:
    path = f"/products/{(await create(catalog, status='withdrawn'))['id']}"
    assert (await catalog.client.put(path, json=form(status="active"))).json()["status"] == "active"


async def test_a_deleted_product_is_gone_and_its_id_is_not_used_again(catalog: Participant) -> None:
    path = f"/products/{(await create(catalog))['id']}"
    await catalog.client.delete(path)
    for reply in (
        await catalog.client.get(path),
        await catalog.client.put(path, json=form()),
        await catalog.client.post(f"{path}/withdraw"),
        await catalog.client.delete(path),
    ):
        assert slug(reply) == (410, "product-deleted")
    assert (await catalog.client.get("/products")).json() == []
    assert len(events(catalog)) == 2


async def test_an_unknown_product_is_not_found(catalog: Participant) -> None:
    path = f"/products/{MOUSE}"
    for reply in (
        await catalog.client.get(path),
        await catalog.client.post(f"{path}/withdraw"),
        await catalog.client.delete(path),
    ):
        assert slug(reply) == (404, "unknown-product")


async def test_a_change_can_ask_that_nobody_else_made_one(catalog: Participant) -> None:
    path = f"/products/{(await create(catalog))['id']}"
    changed = await catalog.client.put(path, json=form(name="Mouse 2"), headers={"If-Match": '"1"'})
    assert changed.status_code == 200
    for stale in ('"1"', '"99"', 'W/"2"', "2", '"x"'):
        headers = {"If-Match": stale}
        for late in (
            await catalog.client.put(path, json=form(), headers=headers),
            await catalog.client.post(f"{path}/withdraw", headers=headers),
            await catalog.client.delete(path, headers=headers),
        ):
            assert slug(late) == (412, "version-mismatch"), stale
            assert 'If-Match: "2"' in late.json()["detail"]
    assert (await catalog.client.get(path)).json()["name"] == "Mouse 2"
    assert len(events(catalog)) == 2


async def test_of_changes_at_once_to_one_version_one_is_made(catalog: Participant) -> None:
    path, once = f"/products/{(await create(catalog))['id']}", {"If-Match": '"1"'}
    replies = await asyncio.gather(*(catalog.client.put(path, json=form(), headers=once) for _ in range(10)))
    assert sorted(reply.status_code for reply in replies) == [200] + [412] * 9
    assert len(events(catalog)) == 2


async def test_of_additions_at_once_under_one_id_one_adds_and_the_others_change(catalog: Participant) -> None:
    path = f"/products/{MOUSE}"
    replies = await asyncio.gather(*(catalog.client.put(path, json=form(name=f"Mouse {n}")) for n in range(10)))
    assert sorted(reply.status_code for reply in replies) == [200] * 9 + [201]
    assert [version for version, _ in events(catalog)] == list(range(1, 11))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"description": "x" * 4001}, "description"),
        ({"price": "0.00"}, "price"),
        ({"price": "-1.00"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": "1" * 30}, "price"),
        ({"price": "1.999"}, "price"),
        ({"price": 29.99}, "price"),
        ({"currency": "reais"}, "currency"),
        ({"currency": "brl"}, "currency"),
        ({"status": "sold-out"}, "status"),
        ({"vip": True}, "vip"),
    ],
)
async def test_a_form_that_does_not_fit_names_the_field(
    catalog: Participant, changes: dict[str, Any], field: str
) -> None:
    for reply in (
        await catalog.client.post("/products", json=form(**changes)),
        await catalog.client.put(f"/products/{MOUSE}", json=form(**changes)),
    ):
        assert slug(reply) == (422, "request-invalid")
        assert [error["field"] for error in reply.json()["errors"]] == [field]
    assert events(catalog) == []


async def test_products_are_listed_page_by_page(catalog: Participant) -> None:
    ids = sorted([(await create(catalog, name=f"Product {n}"))["id"] for n in range(3)])
    first = (await catalog.client.get("/products", params={"limit": 2})).json()
    rest = (await catalog.client.get("/products", params={"after": first[-1]["id"]})).json()
    assert [row["id"] for row in first + rest] == ids


async def test_a_crash_before_the_commit_leaves_neither_row_nor_event(
    catalog: Participant, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def publish_and_die(connection: psycopg.AsyncConnection[Any], event: OutboxEvent) -> None:
        await publish(connection, event)
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

    with monkeypatch.context() as patch:
        patch.setattr(products, "publish", publish_and_die)
        assert slug(await catalog.client.post("/products", json=form())) == (503, "database-unavailable")
    assert catalog.value("SELECT count(*) FROM catalog.products") == 0
    assert events(catalog) == []
    assert await create(catalog)
