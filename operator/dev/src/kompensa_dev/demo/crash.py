"""Stage 4: the engine is killed while sagas are between two steps, and they end right all the same.

Steps take milliseconds, too short to hit by hand. So payments is stopped first: the sagas have then reserved stock and
cannot pay, and it is there that the engine dies. That it really was there shows afterwards: the payment ended later.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from kompensa.model.saga import RESTING
from kompensa_dev.demo.checks import expect, wait_for
from kompensa_dev.demo.ledger import read_ledger
from kompensa_dev.demo.stage import Stage
from kompensa_dev.demo.target import View

SAGAS = 3
FLIGHT_SECONDS = 20.0
DONE, NEXT = "reserve-inventory", "process-payment"


async def engine_is_killed(stage: Stage) -> None:
    """Kill the engine between two steps of three sagas, then count what stands."""
    customer = stage.customers["Ana"]
    names = [stage.scene.name(f"crash-{number}") for number in range(1, SAGAS + 1)]
    before = await read_ledger(stage.target.shop, stage.scene, [customer])
    killed_at = await _killed_in_flight(stage, names, stage.scene.order(customer))
    ended = {name: await stage.ended(name) for name in names}
    for name, saga in ended.items():
        _expect_right_end(name, saga, killed_at)
    after = await read_ledger(stage.target.shop, stage.scene, [customer])
    succeeded = sum(saga["phase"] == "Succeeded" for saga in ended.values())
    new = int(dict(after.lines)["orders that stand"]) - int(dict(before.lines)["orders that stand"])
    expect(new == succeeded, f"{succeeded} sagas succeeded and {new} new orders stand: expected the same number")
    rows = [[name, saga["phase"], f"{_step(saga, NEXT).get('attempts')} attempts"] for name, saga in ended.items()]
    stage.table(("saga", "ended", NEXT), rows)


async def _killed_in_flight(stage: Stage, names: Sequence[str], order: View) -> datetime:
    """Returns when the engine was killed; payments and an engine are back by then."""
    target = stage.target
    await target.stop_service("payments")
    try:
        await asyncio.gather(*(target.place(name, order) for name in names))
        for name in names:
            await wait_for(partial(_between, stage, name), what=f"{name} waiting for {NEXT}", timeout=FLIGHT_SECONDS)
        killed = await target.kill_engine()
        killed_at, gone = datetime.now(UTC), time.monotonic()
        stage.say(f"{len(names)} sagas have reserved stock and not paid: killed {killed}")
    finally:
        await target.start_service("payments")
    await target.engine_back()
    stage.say(f"an engine answers again after {time.monotonic() - gone:.1f} s, and takes the sagas up from its journal")
    return killed_at


def _expect_right_end(name: str, saga: View, killed_at: datetime) -> None:
    found = f"{name} ended {saga['phase']}: {saga.get('message')}"
    expect(saga["phase"] in ("Succeeded", "Compensated"), f"whole or undone was expected; {found}")
    paid = _step(saga, NEXT).get("endTime")
    in_flight = paid is not None and datetime.fromisoformat(paid) > killed_at
    expect(in_flight, f"{name} was expected to be in flight when the engine died at {killed_at}; it had paid at {paid}")


async def _between(stage: Stage, name: str) -> View | None:
    saga = await stage.target.saga(name)
    expect(saga["phase"] not in RESTING, f"{name} was expected to wait for payments; it has ended {saga['phase']}")
    reserved = _step(saga, DONE).get("state") == "Succeeded"
    return saga if reserved and _step(saga, NEXT).get("attempts") else None


def _step(saga: View, name: str) -> View:
    """A step's part of the view; empty while the engine does not know the saga yet."""
    return next((step for step in saga["steps"] if step["name"] == name), {})
