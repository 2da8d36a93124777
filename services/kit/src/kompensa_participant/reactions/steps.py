"""Take part in a saga by events: the same barrier as for calls, so that both styles share a service's functions.

An operation is (saga, step, direction), whichever way it comes. So an action that comes after its compensation finds a
tombstone and has no effect, and a step has one effect even if an event and a call ask for it.

    @reactions.on("orders.order-requested")
    async def reserve(tx, event):
        done = await act(tx, event, "reserve-inventory", lambda tx: stock.reserve(tx, event.read(Order)))
        if done.state == "Succeeded":
            await publish(tx, stock_reserved(done.reply))
        elif done.state == "Failed":
            await publish(tx, stock_refused(done.reply))
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from kompensa_participant import barrier
from kompensa_participant.barrier import CANCELLED, Direction, Operation, Stored, Undo, Work
from kompensa_participant.problem import Problem
from kompensa_participant.reactions.event import ReceivedEvent, UnfitEventError


async def act(tx: AsyncConnection[Any], event: ReceivedEvent, step: str, work: Work) -> Stored:
    """Run a step's action once.

    Returns
    -------
    The operation: `Succeeded` with the reply of `work`, `Failed` with the problem of its refusal, or `Tombstoned` if
    the step was undone before. A refusal drops the change, and the handler goes on: publish it as an event.
    """
    operation = _operation(event, step, "action")
    try:
        return await barrier.perform(tx, operation, work, status=200)
    except Problem as problem:
        if problem.slug != CANCELLED:
            raise
        return Stored(state="Tombstoned", status=problem.status, reply=problem.body(), replayed=True)


async def undo(tx: AsyncConnection[Any], event: ReceivedEvent, step: str, work: Undo) -> Stored:
    """Run a step's compensation once, with the action's reply; leave a tombstone if there was no action yet.

    Returns
    -------
    The operation. If `replayed` is true, it was done before, and what it published is published.
    """
    # Several events may ask for it: a later step was refused, or the deadline has passed.
    operation = _operation(event, step, "compensation", fingerprint="events")
    return await barrier.compensate(tx, operation, work)


def _operation(event: ReceivedEvent, step: str, direction: Direction, *, fingerprint: str | None = None) -> Operation:
    # The inbox handles an event once, so a second event that asks for the same action is another request.
    return Operation(saga_id=_saga_of(event), step=step, direction=direction, fingerprint=fingerprint or str(event.id))


def _saga_of(event: ReceivedEvent) -> UUID:
    if event.saga_id is None:
        raise UnfitEventError(f"event {event.type} has no header saga-id: it does not belong to a saga")
    return event.saga_id
