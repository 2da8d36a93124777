"""A participant that only keeps a ledger: what took effect, in which order, for which saga.

Any step: POST /<step> and POST /<step>/undo, with the kit's promise. POST /switch/<step> with `{"down": true}` lets the
step's actions fail before they take effect, until it is switched back.
"""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from psycopg import AsyncConnection

from kompensa_participant import ENGINE, Action, Allow, Compensation, Message, Problem, Refused, SagaReference, Service

router = APIRouter()
down: set[str] = set()


class Work(Message):
    saga_id: UUID
    refused: str = ""


class Switch(Message):
    down: bool


async def note(tx: AsyncConnection[Any], saga: UUID, step: str, direction: str) -> dict[str, str]:
    await tx.execute("INSERT INTO effects (saga_id, step, direction) VALUES (%s, %s, %s)", (saga, step, direction))
    return {"step": step}


@router.post("/switch/{step}")
async def switch(step: str, body: Switch) -> None:
    (down.add if body.down else down.discard)(step)


@router.post("/{step}")
async def act(step: str, body: Work, action: Action) -> Response:
    if step in down:
        raise Problem(503, "switched-off", f"{step} is switched off")

    async def work(tx: AsyncConnection[Any]) -> dict[str, str]:
        if step == body.refused:
            raise Refused("refused", f"{step} is refused")
        return await note(tx, body.saga_id, step, "action")

    return await action.once(work)


@router.post("/{step}/undo")
async def undo(step: str, body: SagaReference, compensation: Compensation) -> Response:
    return await compensation.once(lambda tx, _: note(tx, body.saga_id, step, "compensation"))


service = Service(
    name="ledger",
    title="A ledger of effects",
    routers=[router],
    access=[Allow(ENGINE, routes=["POST /{step}", "POST /{step}/undo", "POST /switch/{step}"])],
)
