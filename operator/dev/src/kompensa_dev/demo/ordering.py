"""Stage 2: the seed's order (S48) as a saga that succeeds."""

from kompensa_dev.demo.checks import expect
from kompensa_dev.demo.ledger import read_ledger
from kompensa_dev.demo.scene import TOTAL
from kompensa_dev.demo.stage import Stage


async def order_succeeds(stage: Stage) -> None:
    """Place the order and show its result and what it moved."""
    name, customer = stage.scene.name("order"), stage.customers["Ana"]
    before = await read_ledger(stage.target.shop, stage.scene, [customer])
    stage.say(f"2 x 29.99 + 1 x 149.99 = {TOTAL}: {stage.target.placing.format(name=name)}")
    await stage.target.place(name, stage.scene.order(customer))
    saga = await stage.ended(name)
    expect(
        saga["phase"] == "Succeeded", f"{name} was expected to succeed; it is {saga['phase']}: {saga.get('message')}"
    )
    result = saga.get("result") or {}
    expect({"orderId", "invoiceId"} <= set(result), f"{name} was expected to return both ids; it returned {result}")
    stage.say(f"[green]Succeeded[/] {saga['progress']}  order {result['orderId']}  invoice {result['invoiceId']}")
    after = await read_ledger(stage.target.shop, stage.scene, [customer])
    expect(bool(before.differences(after)), "the order was expected to move stock and money; nothing moved")
    rows = [[thing, was, now] for (thing, was), (_, now) in zip(before.lines, after.lines, strict=True) if was != now]
    stage.table(("what moved", "before", "after"), rows)
