"""Stage 1: a customer of orders appears in invoices and shipping, each copy with its own fields only (S19-S24)."""

import asyncio
import time

from kompensa_dev.demo.checks import expect, wait_for
from kompensa_dev.demo.scene import CPF
from kompensa_dev.demo.stage import Stage
from kompensa_dev.demo.target import View

COPY_SECONDS = 30.0
BOOKKEEPING = {"id", "ordersCustomerId", "syncedAt", "sourceVersion", "deletedAt"}
OWN_FIELDS = {
    "invoices": {"email", "document", "fullName", "billingAddress"},
    "shipping": {"email", "fullName", "phone", "shippingAddress"},
}


async def customer_is_copied(stage: Stage) -> None:
    """Register a customer, then let her move; wait for both copies each time.

    A time to the copy runs from the reply of orders, which is after its commit, to the first GET that shows it. The
    first event of a topic takes longer: its topic, the reader's assignment and warm code are still to come.
    """
    orders = stage.target.shop
    body = stage.scene.customer("Ana Souza", CPF)
    customer = await orders.send("orders", "POST", "/customers", body)
    committed = time.monotonic()
    stage.customers["Ana"] = customer["id"]
    stage.say(f"orders has registered [bold]{customer['fullName']}[/], id {customer['id']}; then she moves house")
    registered = await _copies(stage, customer, committed)
    moved = await orders.send("orders", "PUT", f"/customers/{customer['id']}", {**body, **stage.scene.new_home()})
    changed = await _copies(stage, moved, time.monotonic())
    rows = [
        [service, f"{registered[service]:.0f} ms", f"{changed[service]:.0f} ms", ", ".join(sorted(own))]
        for service, own in OWN_FIELDS.items()
    ]
    stage.table(("copy in", "registered: after", "moved: after", "fields"), rows)


async def _copies(stage: Stage, customer: View, committed: float) -> dict[str, float]:
    """Milliseconds from the commit to each service's copy, which then shows its own fields and no others."""
    took = await asyncio.gather(*(_copied(stage, service, customer, committed) for service in OWN_FIELDS))
    return dict(zip(OWN_FIELDS, took, strict=True))


async def _copied(stage: Stage, service: str, customer: View, committed: float) -> float:
    wanted = OWN_FIELDS[service]

    async def current() -> View | None:
        copy = await stage.target.shop.get(service, f"/customers/{customer['id']}")
        return copy if copy and copy["sourceVersion"] >= customer["version"] else None

    copy = await wait_for(current, what=f"the customer's copy in {service}", timeout=COPY_SECONDS)
    took = time.monotonic() - committed
    own = set(copy) - BOOKKEEPING
    expect(own == wanted, f"{service} was expected to keep {wanted}; it keeps {own}")
    differing = [name for name in wanted if copy[name] != customer[name]]
    expect(not differing, f"{service} was expected to show what orders says; it differs in {differing}")
    return took * 1000
