"""The barrier: one row for each operation, in the same transaction as the business change it guards.

An operation is (saga, step, direction), unique. From that one constraint follow all three promises of a keyed
participant:

- a repeated call finds the row and gets the stored reply; a concurrent one waits on it;
- a compensation whose action was never seen puts a *tombstone* in the action's place and succeeds;
- an action that comes after its tombstone is refused, for its saga has been undone.

An action's refusal is stored too: the change is rolled back to a savepoint, the answer is kept, so that the same key
always gets the same answer. A refused compensation is not: it has to be possible once what stood in its way is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from kompensa_participant.problem import Problem
from kompensa_participant.refusals import refusal_of

Reply = Mapping[str, Any]
Direction = Literal["action", "compensation"]
Work = Callable[[AsyncConnection[Any]], Awaitable[Reply]]
Undo = Callable[[AsyncConnection[Any], Reply], Awaitable[Reply]]

CANCELLED = "operation-cancelled"
"""The slug of the problem that an action gets after its compensation."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """Which effect a call is about. `fingerprint` distinguishes two bodies under the same key."""

    saga_id: UUID
    step: str
    direction: Direction
    fingerprint: str

    @property
    def key(self) -> str:
        return f"{self.saga_id}/{self.step}/{self.direction}"


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The answer to an operation, now or as it was given the first time."""

    state: str
    status: int
    reply: Reply
    replayed: bool = False

    @property
    def has_effect(self) -> bool:
        """Whether this very call changed something: not a repeated or rejected one, nor one with nothing to undo."""
        return self.state == "Succeeded" and not self.replayed and self.reply.get("compensated") is not False


async def perform(connection: AsyncConnection[Any], operation: Operation, work: Work, *, status: int) -> Stored:
    """Run an action once. Must be called inside a transaction, which the caller commits."""
    if not await _claim(connection, operation):
        return await _stored(connection, operation)
    try:
        reply = await _in_savepoint(connection, work)
    except Exception as error:
        refusal = refusal_of(error)
        if refusal is None:
            raise
        return await _keep(connection, operation, refusal)
    return await _finish(connection, operation, state="Succeeded", status=status, reply=reply)


async def refuse(connection: AsyncConnection[Any], operation: Operation, refusal: Problem) -> Stored:
    """Keep the refusal of an action whose own transaction is gone, unless another call has come in between."""
    if not await _claim(connection, operation):
        return await _stored(connection, operation)
    return await _keep(connection, operation, refusal)


async def compensate(connection: AsyncConnection[Any], operation: Operation, undo: Undo) -> Stored:
    """Undo an action once, or make sure it can never happen. Must be called inside a transaction."""
    if not await _claim(connection, operation):
        return await _stored(connection, operation)
    if await _leave_tombstone(connection, operation):
        return await _finish(connection, operation, state="Succeeded", status=200, reply=_nothing("never arrived"))
    action = await _row(connection, operation.saga_id, operation.step, "action")
    if action["state"] != "Succeeded":
        return await _finish(connection, operation, state="Succeeded", status=200, reply=_nothing("had no effect"))
    reply = await undo(connection, action["reply"])
    return await _finish(connection, operation, state="Succeeded", status=200, reply=reply)


async def look_up(connection: AsyncConnection[Any], saga_id: UUID, step: str, direction: Direction) -> Stored | None:
    """Return the outcome of an operation, or None if it was never seen."""
    row = await _row_or_none(connection, saga_id, step, direction)
    return None if row is None else Stored(state=row["state"], status=row["status"] or 0, reply=row["reply"] or {})


def _nothing(why: str) -> Reply:
    return {"compensated": False, "detail": f"nothing to undo: the action {why}"}


async def _in_savepoint(connection: AsyncConnection[Any], work: Work) -> Reply:
    """A refusal drops the change and keeps the operation's row."""
    async with connection.transaction():
        return await work(connection)


async def _claim(connection: AsyncConnection[Any], operation: Operation) -> bool:
    """Insert the row; False when it was there. A concurrent transaction that holds it is waited for."""
    cursor = await connection.execute(
        "INSERT INTO operations (saga_id, step, direction, state, fingerprint) VALUES (%s, %s, %s, 'Running', %s)"
        " ON CONFLICT DO NOTHING",
        (operation.saga_id, operation.step, operation.direction, operation.fingerprint),
    )
    return cursor.rowcount == 1


async def _leave_tombstone(connection: AsyncConnection[Any], operation: Operation) -> bool:
    cursor = await connection.execute(
        "INSERT INTO operations (saga_id, step, direction, state, fingerprint)"
        " VALUES (%s, %s, 'action', 'Tombstoned', '') ON CONFLICT DO NOTHING",
        (operation.saga_id, operation.step),
    )
    return cursor.rowcount == 1


async def _stored(connection: AsyncConnection[Any], operation: Operation) -> Stored:
    row = await _row(connection, operation.saga_id, operation.step, operation.direction)
    if row["state"] == "Tombstoned":
        raise Problem(409, CANCELLED, "the saga was undone before this action arrived; it has no effect")
    if row["fingerprint"] != operation.fingerprint:
        detail = f"{operation.key} was used for another request; an Idempotency-Key stands for one request only"
        raise Problem(422, "idempotency-key-reused", detail)
    return Stored(state=row["state"], status=row["status"], reply=row["reply"], replayed=True)


async def _keep(connection: AsyncConnection[Any], operation: Operation, refusal: Problem) -> Stored:
    return await _finish(connection, operation, state="Failed", status=refusal.status, reply=refusal.body())


async def _finish(
    connection: AsyncConnection[Any], operation: Operation, *, state: str, status: int, reply: Reply
) -> Stored:
    await connection.execute(
        "UPDATE operations SET state = %s, status = %s, reply = %s WHERE saga_id = %s AND step = %s AND direction = %s",
        (state, status, Jsonb(dict(reply)), operation.saga_id, operation.step, operation.direction),
    )
    return Stored(state=state, status=status, reply=reply)


async def _row(connection: AsyncConnection[Any], saga_id: UUID, step: str, direction: Direction) -> dict[str, Any]:
    row = await _row_or_none(connection, saga_id, step, direction)
    if row is None:
        raise LookupError(
            f"operation {saga_id}/{step}/{direction} vanished; delete only those of sagas that have ended"
        )
    return row


async def _row_or_none(
    connection: AsyncConnection[Any], saga_id: UUID, step: str, direction: Direction
) -> dict[str, Any] | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT state, status, reply, fingerprint FROM operations"
            " WHERE saga_id = %s AND step = %s AND direction = %s",
            (saga_id, step, direction),
        )
        return await cursor.fetchone()
