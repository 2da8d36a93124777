"""Read your own writes: a client that has a version from a command asks a projection for at least that version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Query
from psycopg import AsyncConnection

from kompensa_eventstore.projections import TooOldError, at_least
from kompensa_participant.endpoints import Pool, transaction
from kompensa_participant.problem import Problem

WAIT_SECONDS = 2.0

Row = dict[str, Any]
MinVersion = Annotated[
    int, Query(alias="minVersion", ge=0, le=2**31, description="Wait for up to 2 s until the row has this version.")
]


async def at_version(
    pool: Pool,
    read: Callable[[AsyncConnection[Any]], Awaitable[Row | None]],
    version: int,
    *,
    column: str = "version",
    seconds: float = WAIT_SECONDS,
) -> Row | None:
    """Return the row that `read` finds, at this version or a later one. With version 0, do not wait.

    No connection is held between two attempts.

    Raises
    ------
    Problem
        504 `projection-behind`: the row is still older, or absent, after `seconds`.
    """

    async def attempt() -> Row | None:
        async with transaction(pool) as connection:
            return await read(connection)

    if version == 0:
        return await attempt()
    try:
        return await at_least(version, attempt, lambda row: int(row[column]), seconds=seconds)
    except TooOldError as error:
        detail = f"version {version} has not been projected yet (found {error.found}); ask again in a moment"
        raise Problem(504, "projection-behind", detail, headers={"Retry-After": "1"}) from None
