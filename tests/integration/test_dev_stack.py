"""The order saga on the local stack: every way to fail leaves nothing behind, and a killed engine loses nothing."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import errors
from rich.console import Console

from kompensa.client.engine_client import EngineClient
from kompensa.manifests.documents import of_kind
from kompensa.model.saga import RESTING
from kompensa_cdc.capture import outbox_from_object
from kompensa_dev.demo.checks import CheckFailedError, wait_for
from kompensa_dev.demo.local import LocalTarget
from kompensa_dev.demo.scene import CPF, Scene
from kompensa_dev.demo.shop_client import ShopClient
from kompensa_dev.demo.story import tell
from kompensa_dev.demo.undoing import done_and_undone
from kompensa_dev.options import StackOptions
from kompensa_dev.run import Run
from kompensa_dev.stack import Stack
from tests.integration.capture_source import Reader, events_of
from tests.integration.copies import eventually
from tests.integration.stack_ledgers import kept_of_saga, rows, totals

STEPS = ["reserve-inventory", "process-payment", "create-order", "issue-invoice"]
SECONDS = 60


@dataclass
class ShopOnStack:
    """The stack with its engine's API, and a customer whose copies have arrived."""

    stack: Stack
    engine: EngineClient
    shop: ShopClient
    scene: Scene
    customer: str

    async def start(self, definition: str = "create-order") -> str:
        body = {"definition": definition, "input": self.scene.order(self.customer)}
        return str((await self.engine.start_saga("shop", body))["id"])

    async def ended(self, saga: str) -> dict[str, Any]:
        async def end() -> dict[str, Any] | None:
            view = await self.engine.saga(saga)
            return view if view["phase"] in RESTING else None

        return await wait_for(end, what=f"the end of saga {saga}", timeout=SECONDS)

    async def define(self, name: str, step: str, fault: str, *, attempts: int) -> None:
        """`create-order` with a fault at one step's action, and no probe that could find out its outcome."""
        (document,) = [d for d in of_kind(self.stack.documents, "SagaDefinition") if d.name == "create-order"]
        spec = copy.deepcopy(document.spec)
        (faulty,) = [each for each in spec["steps"] if each["name"] == step]
        faulty["action"]["http"].setdefault("headers", {})["Kompensa-Fault"] = f"{fault}; direction=action"
        faulty["retryPolicy"] = {"initialInterval": "20ms", "maximumAttempts": attempts}
        faulty.pop("probe")
        await self.engine.put_definition("shop", name, spec)


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[ShopOnStack]:
    async with in_the_shop(stack) as world:
        yield world


@asynccontextmanager
async def in_the_shop(stack: Stack) -> AsyncIterator[ShopOnStack]:
    """A scene of its own in a running shop."""
    async with (
        ShopClient.connect(stack.ports.urls, stack.callers.of_caller("backoffice")) as shop,
        EngineClient.connect(stack.ports.api_url, None) as engine,
    ):
        scene = Scene.new()
        await scene.set_up(shop)
        customer = (await shop.send("orders", "POST", "/customers", scene.customer("Ana Souza", CPF)))["id"]
        for service in ("invoices", "payments"):
            copied = partial(shop.get, service, f"/customers/{customer}")
            await wait_for(copied, what=f"the customer's copy in {service}", timeout=SECONDS)
        yield ShopOnStack(stack, engine, shop, scene, customer)


async def test_every_stage_of_the_demo_keeps_its_promise(stack: Stack, world: ShopOnStack) -> None:
    console = Console(record=True, width=160)
    await tell(LocalTarget(stack, world.shop, world.engine), console)
    told = console.export_text()
    assert "All five stages showed what they promise" in told
    assert "undone in reverse order: create-order → process-payment → reserve-inventory" in told


async def test_order_and_invoice_name_the_products_as_they_were_at_the_order(world: ShopOnStack) -> None:
    """S32: one product gets another name and price, one is deleted."""
    view = await world.ended(await world.start())
    renamed, deleted = world.scene.products
    second = {"name": f"{renamed.name}, second edition", "price": "99.99"}
    await world.shop.send("catalog", "PUT", f"/products/{renamed.id}", second)
    await world.shop.send("catalog", "DELETE", f"/products/{deleted.id}", {})

    async def followed() -> bool | None:
        copy = await world.shop.get("orders", f"/products/{renamed.id}")
        gone = await world.shop.get("orders", f"/products/{deleted.id}") is None
        return True if gone and copy is not None and copy["name"] == second["name"] else None

    await wait_for(followed, what="both changes in the copy of orders", timeout=SECONDS)
    stock = await world.shop.get("inventory", f"/stock/{renamed.id}")
    assert stock is not None
    assert (stock["reserved"], stock["sold"]) == (0, renamed.quantity)
    as_ordered = [(product.name, product.price) for product in world.scene.products]
    order = await world.shop.get("orders", f"/orders/{view['result']['orderId']}")
    invoice = await world.shop.get("invoices", f"/invoices/{view['result']['invoiceId']}")
    assert order is not None
    assert invoice is not None
    assert [(item["name"], item["price"]) for item in order["items"]] == as_ordered
    assert [(line["productName"], line["unitPrice"]) for line in invoice["items"]] == as_ordered
    assert (await world.ended(await world.start()))["reason"] in ("ProductDeleted", "PriceMismatch")


@pytest.mark.parametrize(
    "fault", ["refuse; status=422", "fail-before-commit; status=500", "fail-after-commit; status=500"]
)
@pytest.mark.parametrize("step", STEPS)
async def test_a_failing_step_leaves_nothing_behind(world: ShopOnStack, step: str, fault: str) -> None:
    """S49. A refusal proves that the step had no effect; after any other error it may have, so it is undone too."""
    before = totals(world.stack)
    name = f"create-order-{step}-{fault.partition(';')[0]}"
    await world.define(name, step, fault, attempts=1)
    saga = await world.start(name)
    view = await world.ended(saga)
    assert view["phase"] == "Compensated", view
    assert view["message"].startswith(f"Order creation failed: {step}: ")
    touched = STEPS[: STEPS.index(step) + (not fault.startswith("refuse"))]
    assert done_and_undone(view) == (touched, touched[::-1])
    assert kept_of_saga(world.stack, saga) == []
    assert totals(world.stack) == before


async def test_the_stored_events_of_an_order_are_its_messages(world: ShopOnStack) -> None:
    saga = await world.start()
    order = (await world.ended(saga))["result"]["orderId"]
    (declared,) = [each for each in of_kind(world.stack.documents, "Outbox") if each.name == "order-events"]
    reader = Reader(world.stack.ports.bootstrap, outbox_from_object("shop", declared.name, declared.spec))
    try:
        sent = await asyncio.to_thread(
            eventually, lambda: events_of(reader.read(), order), lambda found: len(found) > 1
        )
    finally:
        reader.consumer.close()
    query = "SELECT * FROM orders.events WHERE aggregate_id = %s ORDER BY aggregate_version"
    stored = rows(world.stack, "orders", query, order)
    assert [event.type for event in sent] == ["ORDER_CREATED", "PAYMENT_PROCESSED"]
    assert [event.headers["id"] for event in sent] == [str(event["id"]) for event in stored]
    assert [event.payload for event in sent] == [event["payload"] for event in stored]
    assert {event.headers["saga-id"] for event in sent} == {saga}


async def test_a_paid_order_is_shipped_and_delivered_by_events(world: ShopOnStack) -> None:
    order = (await world.ended(await world.start()))["result"]["orderId"]

    async def prepared() -> dict[str, Any] | None:
        try:
            return await world.shop.send("shipping", "POST", "/shipments", {"orderId": order})
        except CheckFailedError:
            return None  # the payment is on its way to shipping

    shipment = await wait_for(prepared, what=f"order {order} to be known as paid at shipping", timeout=SECONDS)
    path = f"/shipments/{shipment['id']}"
    await world.shop.send("shipping", "POST", f"{path}/dispatch", {"trackingNumber": f"BR-{order}"})
    await world.shop.send("shipping", "POST", f"{path}/deliver", {})

    async def delivered() -> dict[str, Any] | None:
        found = await world.shop.get("orders", f"/orders/{order}")
        return found if found is not None and found["status"] == "delivered" else None

    await wait_for(delivered, what=f"order {order} to be delivered", timeout=SECONDS)
    query = "SELECT event_type FROM orders.events WHERE aggregate_id = %s ORDER BY aggregate_version"
    types = [row["event_type"] for row in rows(world.stack, "orders", query, order)]
    assert types == ["ORDER_CREATED", "PAYMENT_PROCESSED", "ORDER_SHIPPED", "ORDER_DELIVERED"]


async def test_a_step_whose_first_reply_was_lost_happens_once(world: ShopOnStack) -> None:
    """The first attempt commits and answers 500; the second gets the stored reply, so nothing happens twice."""
    await world.define("create-order-once", "process-payment", "fail-after-commit; status=500; attempts=1", attempts=2)
    saga = await world.start("create-order-once")
    view = await world.ended(saga)
    assert view["phase"] == "Succeeded", view
    captures = rows(world.stack, "payments", "SELECT FROM payments.entries WHERE saga_id = %s", saga)
    assert len(captures) == 1


async def test_sagas_end_whole_or_undone_when_the_engine_is_killed_under_load(world: ShopOnStack) -> None:
    before = totals(world.stack)
    sagas = [await world.start() for _ in range(3)]
    world.stack.engine.kill()
    world.stack.start_engine()
    views = [await world.ended(saga) for saga in sagas]
    assert {view["phase"] for view in views} <= {"Succeeded", "Compensated"}
    whole = ["reservation", "payment", "order", "invoice"]
    for saga, view in zip(sagas, views, strict=True):
        assert kept_of_saga(world.stack, saga) == (whole if view["phase"] == "Succeeded" else [])
    if all(view["phase"] == "Compensated" for view in views):
        assert totals(world.stack) == before


async def test_the_shop_also_works_with_a_schema_a_service() -> None:
    """The other isolation: one database, and still no service reads another's tables."""
    run = Run.open()
    stack = Stack.start(run, StackOptions(port_base=None, isolation="schema"), say=lambda _: None)
    try:
        async with in_the_shop(stack) as world:
            view = await world.ended(await world.start())
            assert view["phase"] == "Succeeded", view
        with (
            psycopg.connect(stack.logins.owner("shipping").url) as intruder,
            pytest.raises(errors.InsufficientPrivilege, match="permission denied for schema payments"),
        ):
            intruder.execute("SELECT * FROM payments.payments")
    finally:
        stack.stop()


def test_a_service_reads_nothing_of_anothers_database(stack: Stack) -> None:
    """S1, by its real login."""
    intruder = stack.logins.owner("shipping")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(replace(intruder, database=stack.logins.owner("payments").database).url)
