"""Dependencies of an endpoint: the database, or an operation of a saga that runs once for its key.

@router.post("/reservations", status_code=201)
async def reserve(body: Reserve, action: Action) -> Response:
    return await action.once(lambda tx: stock.reserve(tx, action.saga_id, body), status=201)

@router.post("/reservations/release")
async def release(body: SagaReference, compensation: Compensation) -> Response:
    return await compensation.once(lambda tx, reserved: stock.release(tx, compensation.saga_id))
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from kompensa_common.problems import MEDIA_TYPE
from kompensa_participant import barrier, calls, faults, metrics
from kompensa_participant.barrier import Operation, Stored
from kompensa_participant.refusals import DATABASE_REFUSALS, refusal_of

log = structlog.get_logger()

Pool = AsyncConnectionPool[AsyncConnection[Any]]


def pool_of(request: Request) -> Pool:
    """The service's connection pool."""
    pool: Pool = request.app.state.pool
    return pool


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[AsyncConnection[Any]]:
    """One connection, one transaction, committed on leaving without an error."""
    async with pool.connection() as connection, connection.transaction():
        yield connection


async def _database(request: Request) -> AsyncIterator[AsyncConnection[Any]]:
    async with transaction(pool_of(request)) as connection:
        yield connection


Database = Annotated[AsyncConnection[Any], Depends(_database, scope="function")]
"""A connection inside a transaction that commits before the answer is sent."""


@dataclass(frozen=True)
class _Once:
    pool: Pool
    path: str
    operation: Operation
    fault: faults.Fault

    @property
    def saga_id(self) -> UUID:
        return self.operation.saga_id

    def _log(self, effect: str, stored: Stored) -> None:
        """Log an effect after its commit, so that the line is true."""
        if effect and stored.has_effect:
            log.info(effect.format_map(stored.reply))

    def _answer(self, stored: Stored) -> Response:
        replayed = str(stored.replayed).lower()
        metrics.OPERATIONS.labels(path=self.path, state=stored.state, replayed=replayed).inc()
        # Joins the request's own line, which is written when the answer is out.
        structlog.contextvars.bind_contextvars(
            operation=self.operation.key, state=stored.state, replayed=stored.replayed
        )
        media_type = "application/json" if 200 <= stored.status < 300 else MEDIA_TYPE
        headers = {"Idempotent-Replay": "true"} if stored.replayed else {}
        return JSONResponse(dict(stored.reply), stored.status, headers=headers, media_type=media_type)


@dataclass(frozen=True)
class _Action(_Once):
    async def once(self, work: barrier.Work, *, status: int = 200, effect: str = "") -> Response:
        """Run `work` unless the key has been seen; answer with its reply, now and on every repetition.

        Parameters
        ----------
        effect
            A log line for the effect, with fields of the reply, for example `Payment {paymentId} captured`.
        """

        async def guarded(connection: AsyncConnection[Any]) -> barrier.Reply:
            self.fault.in_work()
            return await work(connection)

        await self.fault.before_barrier()
        try:
            async with transaction(self.pool) as connection:
                stored = await barrier.perform(connection, self.operation, guarded, status=status)
                self.fault.before_commit()
        except DATABASE_REFUSALS as error:
            # By the commit, which checks deferred constraints, or for the reply: the operation's row is gone with it.
            stored = await self._refused(error)
        self._log(effect, stored)
        self.fault.after_commit()
        return self._answer(stored)

    async def _refused(self, error: Exception) -> Stored:
        refusal = refusal_of(error)
        assert refusal is not None
        async with transaction(self.pool) as connection:
            return await barrier.refuse(connection, self.operation, refusal)


@dataclass(frozen=True)
class _Compensation(_Once):
    async def once(self, undo: barrier.Undo, *, effect: str = "") -> Response:
        """Run `undo` with the action's stored reply; a no-op if the action had no effect or was never seen.

        Parameters
        ----------
        effect
            A log line for the effect, with fields of the reply, for example `Payment {paymentId} refunded`.
        """

        async def guarded(connection: AsyncConnection[Any], reply: barrier.Reply) -> barrier.Reply:
            self.fault.in_work()
            return await undo(connection, reply)

        await self.fault.before_barrier()
        async with transaction(self.pool) as connection:
            stored = await barrier.compensate(connection, self.operation, guarded)
            self.fault.before_commit()
        self._log(effect, stored)
        self.fault.after_commit()
        return self._answer(stored)


async def _action(request: Request, call: Annotated[calls.Call, Depends(calls.read_action)]) -> _Action:
    return _Action(pool_of(request), request.scope["route"].path, call.operation, call.fault)


async def _compensation(
    request: Request, call: Annotated[calls.Call, Depends(calls.read_compensation)]
) -> _Compensation:
    return _Compensation(pool_of(request), request.scope["route"].path, call.operation, call.fault)


Action = Annotated[_Action, Depends(_action)]
Compensation = Annotated[_Compensation, Depends(_compensation)]
