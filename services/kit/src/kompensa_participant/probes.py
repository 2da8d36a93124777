"""Endpoints that every participant has: liveness, readiness, metrics, and the outcome of an operation."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from psycopg import Error
from psycopg.errors import UndefinedTable

from kompensa_participant import barrier
from kompensa_participant.barrier import Direction
from kompensa_participant.endpoints import Database, Pool, pool_of, transaction
from kompensa_participant.metrics import observe_pool
from kompensa_participant.problem import Problem
from kompensa_participant.revisions import is_behind

READY_TIMEOUT = 2.0

router = APIRouter()


@router.get("/healthz", tags=["process"])
async def healthz(request: Request) -> dict[str, str]:
    """The event loop answers, and the reader of the reactions, if there are any, does not hang."""
    reactions = request.app.state.reactions
    if reactions is not None and not reactions.progress.alive:
        raise Problem(503, "reactions-hung", "the reactions have crashed or hang; see the service's log")
    return {"status": "alive"}


@router.get("/readyz", tags=["process"])
async def readyz(request: Request) -> dict[str, str | None]:
    """The database answers in time, and its schema is not older than this code."""
    revisions = request.app.state.revisions
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            found = await _revision(pool_of(request))
    except (Error, TimeoutError) as error:
        detail = f"the database cannot be used: {type(error).__name__}"
        raise Problem(503, "not-ready", detail, headers={"Retry-After": "1"}) from error
    if is_behind(found, revisions):
        detail = f"the schema is at {found or 'nothing'}, this version needs {revisions[-1]}: run migrate"
        raise Problem(503, "not-ready", detail, headers={"Retry-After": "1"})
    return {"status": "ready", "schema": found}


async def _revision(pool: Pool) -> str | None:
    try:
        async with pool.connection(timeout=READY_TIMEOUT) as connection, connection.transaction():
            row = await (await connection.execute("SELECT version_num FROM alembic_version")).fetchone()
    except UndefinedTable:
        return None
    return row[0] if row else None


@router.get("/metrics", tags=["process"], include_in_schema=False)
async def metrics(request: Request) -> Response:
    observe_pool(pool_of(request).get_stats())
    if request.app.state.projections is not None:
        await _observe_projections(request)
    reactions = request.app.state.reactions
    if reactions is not None:
        reactions.observe_metrics()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _observe_projections(request: Request) -> None:
    """Take over their state. If the database does not answer, the gauges keep their values."""
    from kompensa_participant.projections import metrics as projection_metrics  # noqa: PLC0415 - see Service

    running = request.app.state.projections
    with suppress(Error, TimeoutError):
        async with asyncio.timeout(READY_TIMEOUT), transaction(pool_of(request)) as connection:
            projection_metrics.observe(await running.statuses(connection), running.troubles)


@router.get("/operations/{saga_id}/{step}/{direction}", tags=["saga"])
async def operation(saga_id: UUID, step: str, direction: Direction, database: Database) -> dict[str, Any]:
    """Return the outcome of an operation: Succeeded, Failed, Tombstoned or Absent; always 200."""
    found = await barrier.look_up(database, saga_id, step, direction)
    key = f"{saga_id}/{step}/{direction}"
    if found is None:
        return {"key": key, "state": "Absent", "status": None, "reply": None}
    return {"key": key, "state": found.state, "status": found.status or None, "reply": dict(found.reply) or None}
