"""Open connections to the consumer's database, with every wait bounded; describe its errors without the password."""

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from kompensa_common.sessions import Session, Sessions

CONNECT_TIMEOUT_SECONDS = 5
SETTINGS = {
    "statement_timeout": "60s",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
}
ARGUMENTS = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


async def connect(
    database_url: str, *, application_name: str = "kompensa consumer", search_path: str | None = None
) -> Session:
    """Open an autocommit connection: transactions begin explicitly.

    The session is in UTC, so that now() and a deletion's time are UTC even in a column without a zone.
    `tcp_user_timeout` and keepalives end a connection whose server is gone silently.
    """
    settings = SETTINGS if search_path is None else {**SETTINGS, "search_path": search_path}
    arguments = {**ARGUMENTS, "application_name": application_name}
    return await Sessions(database_url, settings=settings, arguments=arguments).connect()


def address(database_url: str) -> str:
    """Return the database's URL without its password, fit for a status."""
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
    """Describe a failure of the database in one sentence, fit for a status."""
    if _parts(database_url) is None:
        return f"PostgreSQL {address(database_url)}"  # the error quotes what it could not read, the password with it
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    return f"PostgreSQL {address(database_url)}: {text}"


def _parts(database_url: str) -> dict[str, Any] | None:
    """Return the parts of a URL, or None if it is not one.

    The result is None, too, if an unencoded @ or / has turned a part of the password into the host or the database's
    name.
    """
    try:
        parts = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        return None
    return None if "@" in f"{parts.get('host', '')}{parts.get('dbname', '')}" else parts
