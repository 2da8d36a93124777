"""A service that reacts, and keeps what it did: one row for each time that a handler's change was committed.

No constraint keeps an effect from being noted twice: that is the kit's. A row of `faults` makes the handler fail for a
key. TOPICS, a prefix, keeps the topics of different tests apart.
"""

import asyncio
import os
from typing import Any

from psycopg import AsyncConnection, Error

from kompensa_participant import (
    REACTION_ROUTES,
    Allow,
    Message,
    OutboxEvent,
    Reactions,
    ReceivedEvent,
    Refused,
    Service,
    publish,
)

PREFIX = os.environ.get("TOPICS", "reactor")
ORDERED, SECOND, UNORDERED = f"{PREFIX}.ordered", f"{PREFIX}.second", f"{PREFIX}.unordered"
FIRST_PAUSE = 0.05
ATTEMPTS = 3

reactions = Reactions()


class Step(Message):
    number: int


async def note(tx: AsyncConnection[Any], event: ReceivedEvent) -> None:
    step = event.read(Step)
    await tx.execute(
        "INSERT INTO effects (event_id, topic, key, number) VALUES (%s, %s, %s, %s)",
        (event.id, event.topic, event.key, step.number),
    )
    await publish(
        tx,
        OutboxEvent(
            aggregate_type="effect",
            aggregate_id=event.id,
            aggregate_version=1,
            event_type="effect-noted",
            payload={"number": step.number},
        ),
    )
    found = await tx.execute("SELECT kind FROM faults WHERE key = %s", (event.key,))
    for (kind,) in await found.fetchall():
        await fail(tx, kind)


async def fail(tx: AsyncConnection[Any], kind: str) -> None:
    match kind:
        case "raise":
            raise RuntimeError("the handler is broken")
        case "refuse":
            raise Refused("not-now", "the domain says no")
        case "hang":
            await asyncio.sleep(60)
        case "deferred":
            await tx.execute("INSERT INTO links (target) VALUES (gen_random_uuid())")
        case "swallow":
            try:
                await tx.execute("SELECT 1 / 0")
            except Error:
                return


for topic, ordered in ((ORDERED, True), (SECOND, True), (UNORDERED, False)):
    reactions.on(topic, ordered=ordered, attempts=ATTEMPTS, first_pause=FIRST_PAUSE, longest_pause=0.2, time_limit=1)(
        note
    )

service = Service(
    name="reactor",
    title="A service that reacts",
    reactions=reactions,
    access=[Allow("backoffice", routes=REACTION_ROUTES)],
)
