"""Stage 1: a customer of orders appears in invoices and shipping, each copy with its own fields only (S19-S24)."""

import asyncio
import time
from typing import Any

from kompensa.dev.demo.checks import expect, wait_for
from kompensa.dev.demo.scene import CPF
from kompensa.dev.demo.stage import Stage

COPY_SECONDS = 30.0
BOOKKEEPING = {"id", "ordersCustomerId", "syncedAt", "sourceVersion", "deletedAt"}
OWN_FIELDS = {
    "invoices": {"email", "document", "fullName", "billingAddress"},
    "shipping": {"email", "fullName", "phone", "shippingAddress"},
}


async def customer_is_copied(stage: Stage) -> None:
    """Register a customer and wait for both copies.

    The time to the copy runs from the reply of orders, which is after its commit, to the first GET that finds it.
    """
    body = stage.scene.customer("Ana Souza", CPF)
    customer = await stage.target.shop.send("orders", "POST", "/customers", body)
    committed = time.monotonic()
    stage.customers["Ana"] = customer["id"]
    stage.say(f"orders has registered [bold]{customer['fullName']}[/], id {customer['id']}")
    copies = await asyncio.gather(*(_copy(stage, service, customer["id"], committed) for service in OWN_FIELDS))
    rows = [[service, f"{took * 1000:.0f} ms", ", ".join(sorted(own))] for service, took, own in copies]
    stage.table(("copy in", "after", "fields"), rows)


async def _copy(stage: Stage, service: str, customer: str, committed: float) -> tuple[str, float, set[str]]:
    async def copied() -> dict[str, Any] | None:
        return await stage.target.shop.get(service, f"/customers/{customer}")

    copy = await wait_for(copied, what=f"the customer's copy in {service}", timeout=COPY_SECONDS)
    took = time.monotonic() - committed
    own = set(copy) - BOOKKEEPING
    expect(own == OWN_FIELDS[service], f"{service} was expected to keep {OWN_FIELDS[service]}; it keeps {own}")
    return service, took, own
