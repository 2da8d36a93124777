"""Connections to the target database: bounded in every wait, and errors that name it without its password."""

from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 60
LOCK_TIMEOUT_SECONDS = 20


async def connect(database_url: str) -> AsyncConnection:
    """Open an autocommit connection; transactions are begun where they are meant.

    In UTC, so that now() and a deletion's time are UTC also in a column that has no zone.
    `tcp_user_timeout` and keepalives end a connection whose server has gone without a word.
    """
    return await AsyncConnection.connect(
        database_url,
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        application_name="kompensa replica",
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
        options=f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={LOCK_TIMEOUT_SECONDS}s "
        "-c idle_in_transaction_session_timeout=60s -c TimeZone=UTC",
    )


def address(database_url: str) -> str:
    """What may be shown of a database's URL."""
    parts = _parts(database_url)
    if parts is None:
        return (
            "DATABASE_URL (not a PostgreSQL URL: expected postgresql://user:password@host:5432/database, with the "
            "password percent-encoded)"
        )
    return (
        f"{parts.get('user', '')}@{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    )


def trouble(database_url: str, error: BaseException) -> str:
    """One sentence about a failure of the target database, fit for a status."""
    if _parts(database_url) is None:
        return f"PostgreSQL {address(database_url)}"  # the error quotes what it could not read, the password with it
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return f"PostgreSQL {address(database_url)}: {text}"


def _parts(database_url: str) -> dict[str, Any] | None:
    """The parts of a URL; None where it is none, or where a bare @ or / has made part of the password host or name."""
    try:
        parts = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        return None
    return None if "@" in f"{parts.get('host', '')}{parts.get('dbname', '')}" else parts
