"""Stage 3: two orders that cannot be filled, each undone in reverse order until all is as before (S45, S49)."""

from kompensa_dev.demo.checks import expect, wait_for
from kompensa_dev.demo.ledger import read_ledger
from kompensa_dev.demo.replication import COPY_SECONDS
from kompensa_dev.demo.scene import EMPTY, FUNDED, PASSPORT
from kompensa_dev.demo.stage import Stage
from kompensa_dev.demo.target import View


async def failures_are_undone(stage: Stage) -> None:
    """A declined payment and an invoice that cannot be issued; the ledger before, between and after."""
    await _register_foreigner(stage)
    customers = [stage.customers["Ana"], stage.customers["Peter"]]
    before = await read_ledger(stage.target.shop, stage.scene, customers)
    await _undone(stage, "declined", stage.scene.order(customers[0], EMPTY), "process-payment")
    between = await read_ledger(stage.target.shop, stage.scene, customers)
    await _undone(stage, "unbillable", stage.scene.order(customers[1], FUNDED), "issue-invoice")
    after = await read_ledger(stage.target.shop, stage.scene, customers)
    names = [name for name, _ in before.lines]
    amounts = [dict(ledger.lines) for ledger in (before, between, after)]
    stage.table(
        ("", "before", "payment declined", "invoice refused"),
        [[name, *(amount[name] for amount in amounts)] for name in names],
    )
    left = [*before.differences(between), *before.differences(after)]
    expect(not left, f"everything was expected to be as before; {'; '.join(left)}")
    stage.say("[green]as before[/]: stock, money, orders and invoices")


async def _register_foreigner(stage: Stage) -> None:
    body = stage.scene.customer("Peter Parker", PASSPORT)
    customer = await stage.target.shop.send("orders", "POST", "/customers", body)
    stage.customers["Peter"] = customer["id"]

    async def copied() -> object:
        return await stage.target.shop.get("invoices", f"/customers/{customer['id']}")

    await wait_for(copied, what="the second customer's copy in invoices", timeout=COPY_SECONDS)


async def _undone(stage: Stage, what: str, order: View, fails_at: str) -> None:
    name = stage.scene.name(what)
    await stage.target.place(name, order)
    saga = await stage.ended(name)
    found = f"{saga['phase']} at {saga.get('step')}: {saga.get('message')}"
    expect(saga["phase"] == "Compensated", f"{name} was expected to end Compensated; it is {found}")
    done, undone = done_and_undone(saga)
    failed = [step["name"] for step in saga["steps"] if step["state"] == "Failed"]
    expect(failed == [fails_at], f"{name} was expected to fail at {fails_at}; it failed at {failed or found}")
    expect(undone == done[::-1], f"{name} was expected to undo {done[::-1]} in this order; it undid {undone}")
    stage.say(f"[yellow]Compensated[/] {name}: {saga.get('reason')} ({saga.get('message')})")
    stage.say(f"   undone in reverse order: {' → '.join(undone)}")


def done_and_undone(saga: View) -> tuple[list[str], list[str]]:
    """The steps that had an effect in the order they were made, and in the order they were undone."""
    touched = [step for step in saga["steps"] if step.get("compensation")]
    made = sorted(touched, key=lambda step: str(step["startTime"]))
    undone = sorted(touched, key=lambda step: str(step["compensation"].get("endTime")))
    return [step["name"] for step in made], [step["name"] for step in undone]
