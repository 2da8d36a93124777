"""Bringing a service's schema to the version its code needs, with Alembic.

Every table of a service lies in the PostgreSQL schema of the service's name, in a database of its own or in a shared
one. Revisions are plain SQL in Python's clothes: `op.execute(...)`. Two replicas that start at once take turns by an
advisory lock; a lock that traffic does not give up in time ends the migration, not the traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import errors, sql

from kompensa_common.libpq import address_of, own_settings, parameters
from kompensa_common.poolers import statement_mode
from kompensa_common.sessions import SETTLE, PoolerError, settle_arguments
from kompensa_participant.revisions import folder, revisions

CONNECT_TIMEOUT = 10
TURN_TIMEOUT = "60s"
CAPTURED = {"outbox", "events"}
"""Tables whose rows are messages: the outbox, and the event table of an event store."""
LOCK = 0x6B6F6D70  # any number; together with the schema's name it is this service's turn

_TABLES = """
    SELECT relname, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'append_only')
      FROM pg_class c WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind IN ('r', 'p')
     ORDER BY relname
"""
"""The tables of a schema. The trigger of an append-only one is made by `append_only`, or by the event store."""

Connection = psycopg.Connection[tuple[object, ...]]


class RoleMissingError(LookupError):
    """A role that is to be granted something does not exist."""


def config(package: str, *, url: str = "", schema: str = "") -> Config:
    """Alembic's configuration for the service whose revisions lie in `<package>/migrations`."""
    found = Config()
    found.set_main_option("script_location", str(folder("kompensa_participant", "alembic")))
    found.set_main_option("version_locations", str(folder(package, "migrations")))
    found.set_main_option("path_separator", "os")
    found.attributes["url"] = url
    found.attributes["schema"] = schema
    return found


def migrate(
    package: str, *, url: str, schema: str, capture_role: str | None = None, serving_role: str | None = None
) -> None:
    """Upgrade to head, then grant. Safe to run at any time, by any number of processes.

    Raises
    ------
    LookupError
        When there are no migrations.
    RoleMissingError
        When the capture role or the serving role does not exist.
    PoolerError
        Behind a pooler in statement mode.
    """
    revisions(package)
    with connect(url, {}) as connection:
        with _turn(connection, schema, url=url):
            _ensure_schema(connection, schema)
        with _turn(connection, schema, url=url):
            command.upgrade(config(package, url=url, schema=schema), "head")
        with _turn(connection, schema, url=url):
            if capture_role:
                _grant_capture(connection, schema, capture_role)
            if serving_role:
                _grant_serving(connection, schema, serving_role)


def connect(url: str, settings: Mapping[str, str]) -> Connection:
    """Open a connection in autocommit, with settings that the URL's `options` may replace.

    Behind a pooler the settings are left out: they could stay in a server process that other clients get. Nor are
    statements prepared.
    """
    seconds = parameters(url).get("connect_timeout", CONNECT_TIMEOUT)
    connection = psycopg.connect(url, connect_timeout=seconds, autocommit=True, prepare_threshold=None)
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    if row == (connection.pgconn.backend_pid,):
        connection.execute(SETTLE, settle_arguments(own_settings(url, settings), in_transaction=False))
    return connection


def settle(execute: Callable[[str, tuple[Any, ...]], object], url: str, settings: Mapping[str, str]) -> None:
    """Send the settings again for the transaction that has begun."""
    execute(SETTLE, settle_arguments(own_settings(url, settings), in_transaction=True))


@contextmanager
def _turn(connection: Connection, schema: str, *, url: str) -> Iterator[None]:
    """Keep other processes out until the transaction ends, which may be idle for as long as a migration takes."""
    settings = {"lock_timeout": TURN_TIMEOUT, "idle_in_transaction_session_timeout": "0"}
    try:
        with connection.transaction():
            settle(connection.execute, url, settings)
            connection.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (LOCK, schema))
            yield
    except errors.ProtocolViolation:
        raise PoolerError(statement_mode(address_of(url))) from None


def _ensure_schema(connection: Connection, schema: str) -> None:
    """Asks before it creates: in a shared instance the role owns its schema but may create none."""
    found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone()
    if not found:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _grant_capture(connection: Connection, schema: str, role: str) -> None:
    """Let the capture role see the tables whose rows are messages, and nothing else."""
    _require_role(connection, role, variable="CAPTURE_ROLE")
    names = {"schema": sql.Identifier(schema), "role": sql.Identifier(role)}
    tables = {name for name, _ in connection.execute(_TABLES, (schema,)).fetchall()}
    for table in CAPTURED & tables:
        of_table = {**names, "table": sql.Identifier(str(table))}
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}").format(**of_table))
        connection.execute(sql.SQL("GRANT SELECT ON {schema}.{table} TO {role}").format(**of_table))


def _grant_serving(connection: Connection, schema: str, role: str) -> None:
    """Let the serving role work on all rows, but only add to tables that are append-only. It may change no table."""
    _require_role(connection, role, variable="SERVING_ROLE")
    names = {"schema": sql.Identifier(schema), "role": sql.Identifier(role)}
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}").format(**names))
    for table, is_append_only in connection.execute(_TABLES, (schema,)).fetchall():
        rights = sql.SQL("SELECT, INSERT" if is_append_only else "SELECT, INSERT, UPDATE, DELETE")
        if table == "alembic_version":
            rights = sql.SQL("SELECT")
        of_table = {**names, "table": sql.Identifier(str(table)), "rights": rights}
        connection.execute(sql.SQL("REVOKE ALL ON {schema}.{table} FROM {role}").format(**of_table))
        connection.execute(sql.SQL("GRANT {rights} ON {schema}.{table} TO {role}").format(**of_table))
    connection.execute(sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}").format(**names))


def _require_role(connection: Connection, role: str, *, variable: str) -> None:
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        raise RoleMissingError(f"{variable} names {role!r}, which does not exist: create it, or leave {variable} out")
