"""One runner of a projection at a time. The others wait, and take over from one that has ended or hangs.

The lock belongs to a session, so it is free as soon as the process that holds it is killed. A process that is paused
keeps its session. It sends nothing, however, and a runner sends a statement at least every SIGN_OF_LIFE_SECONDS. If a
session is silent for much longer, a waiting runner lets the server end it. The server then rejects everything that the
paused process still sends, so it cannot write when it wakes up.
"""

from __future__ import annotations

import logging
from typing import Any

from psycopg import AsyncConnection, errors
from psycopg.rows import tuple_row

_log = logging.getLogger(__name__)
SIGN_OF_LIFE_SECONDS = 10.0
SILENT_SECONDS = 30.0
"""A session that has sent nothing for this time counts as hanging."""

_LOCK = "SELECT pg_advisory_lock(hashtextextended(%s, 0))"
_LIMITS = "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)"
_END_SILENT = """
    SELECT pid, pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
     WHERE locktype = 'advisory' AND granted AND objsubid = 1
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND ((classid::bigint << 32) | objid::bigint) = hashtextextended(%s, 0)
       AND wait_event_type = 'Client' AND state_change < clock_timestamp() - make_interval(secs => %s)
"""


async def take_turn(
    connection: AsyncConnection[Any], schema: str, name: str, *, silent_seconds: float = SILENT_SECONDS
) -> None:
    """Wait until no other session runs the projection. This session then holds the lock until it ends.

    Parameters
    ----------
    connection
        In autocommit, with a server process of its own.
    silent_seconds
        End the session that holds the lock if it has been silent for this time.
    """
    key = f"projection {schema}.{name}"
    while True:
        try:
            async with connection.transaction():
                await connection.execute(_LIMITS, (f"{int(1000 * min(SIGN_OF_LIFE_SECONDS, silent_seconds))}ms",))
                await connection.execute(_LOCK, (key,))
        except errors.LockNotAvailable:
            await _end_silent(connection, key, name, silent_seconds)
        else:
            return


async def _end_silent(connection: AsyncConnection[Any], key: str, name: str, seconds: float) -> None:
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(_END_SILENT, (key, seconds))
        for pid, _ in await cursor.fetchall():
            _log.warning("the runner of projection %s hangs; its session %s was ended", name, pid)
