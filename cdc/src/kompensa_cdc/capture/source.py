"""Connections to the database that is captured, and its replication slot.

The publication is made by the table's owner, the slot by the capture role (LOGIN REPLICATION), so neither needs more
than it has. Every connection has time-outs, and every function may be called again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from kompensa_cdc.capture.errors import PostgresError
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.pooler import require_own_process
from kompensa_common.sessions import SETTLE, settle_arguments

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 15
SETTINGS = {"statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s", "lock_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s"}
LONG_PREPARED_SECONDS = 600.0
FAILOVER_SINCE = 170000  # server_version_num from which a slot can follow a failover

Connection = psycopg.AsyncConnection[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A replication slot as the server describes it.

    Attributes
    ----------
    lost
        Its WAL is gone, and it can never be read again.
    at_risk
        The next checkpoint may remove WAL that it needs.
    foreign
        Why it is not our slot although it has our name; empty if it is.
    confirmed
        The position up to which everything is in Kafka.
    lag_bytes
        From there to the newest WAL.
    prepared
        A transaction that was prepared long ago and keeps WAL; empty if there is none.
    """

    active: bool
    lost: bool
    lag_bytes: int
    at_risk: bool = False
    foreign: str = ""
    confirmed: int = 0
    prepared: str = ""


@asynccontextmanager
async def connected(database: Database, purpose: str) -> AsyncIterator[Connection]:
    """Open a connection for one errand; every failure comes out as PostgresError that names server and purpose."""
    try:
        connection = await open_connection(database)
    except psycopg.Error as error:
        raise PostgresError(
            f"cannot connect to PostgreSQL as {database.address}: {first_line(error)}; "
            "check host, port, database, username and password in the Secret"
        ) from None
    async with connection:
        try:
            await require_own_process(connection, database, partial(open_connection, database))
            # By a statement: poolers reject settings in the message that opens a connection.
            await connection.execute(SETTLE, settle_arguments(SETTINGS, in_transaction=False))
            yield connection
        except psycopg.Error as error:
            raise PostgresError(f"{purpose} on PostgreSQL {database.address} failed: {first_line(error)}") from None


async def open_connection(database: Database, **more: Any) -> Connection:
    """Open a connection with the server's own settings."""
    return await psycopg.AsyncConnection.connect(
        host=database.host,
        port=database.port,
        dbname=database.database,
        user=database.username,
        password=database.password,
        sslmode=database.sslmode,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        application_name="kompensa capture",
        autocommit=True,
        row_factory=dict_row,
        **more,
    )


def first_line(error: Exception) -> str:
    """One line of an error, for a Condition; libpq's own texts carry no password."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def slot_sql(*, server_version: int) -> sql.SQL:
    """The call that makes the slot; from PostgreSQL 17 on it asks for the slot to survive a failover."""
    failover = ", failover => true" if server_version >= FAILOVER_SINCE else ""
    return sql.SQL(f"SELECT pg_create_logical_replication_slot(%s, 'pgoutput'{failover})")


async def read_slot(capture: Database, outbox: Outbox) -> Slot | None:
    """Return the slot's state, or None if there is none."""
    async with connected(capture, f"reading the slot {outbox.slot}") as connection:
        row = await one(
            connection,
            """SELECT active, wal_status IS NOT DISTINCT FROM 'lost' AS lost,
                      wal_status IS NOT DISTINCT FROM 'unreserved' AS at_risk,
                      CASE WHEN slot_type <> 'logical' THEN 'a physical slot'
                           WHEN plugin <> 'pgoutput' THEN 'a slot of the plugin ' || plugin
                           WHEN database <> current_database() THEN 'a slot of the database ' || database
                           WHEN temporary THEN 'a temporary slot of another session'
                           ELSE '' END AS foreign,
                      coalesce(pg_wal_lsn_diff(confirmed_flush_lsn, '0/0'), 0)::bigint AS confirmed,
                      coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint AS lag_bytes,
                      coalesce((SELECT format('%%L of %%s, prepared at %%s', gid, owner, prepared::timestamptz(0))
                                  FROM pg_prepared_xacts WHERE database = current_database()
                                   AND prepared < now() - make_interval(secs => %s) ORDER BY prepared LIMIT 1), '')
                        AS prepared
                 FROM pg_replication_slots WHERE slot_name = %s""",
            LONG_PREPARED_SECONDS,
            outbox.slot,
        )
    return None if row is None else Slot(**{**row, "lag_bytes": max(0, row["lag_bytes"])})


async def create_slot(capture: Database, outbox: Outbox) -> None:
    """Make the slot; what is committed from here on is kept for Debezium."""
    async with connected(capture, f"making the slot {outbox.slot}") as connection:
        try:
            await connection.execute(slot_sql(server_version=connection.info.server_version), (outbox.slot,))
        except errors.DuplicateObject:
            return  # made by another operator a moment ago
        except errors.InsufficientPrivilege:
            raise PostgresError(
                f"{capture.address} may not make a replication slot: run ALTER ROLE {capture.username} REPLICATION",
                reason="RightsMissing",
            ) from None
        except errors.ConfigurationLimitExceeded:
            raise PostgresError(
                f"no replication slot is free on {capture.address}: raise max_replication_slots or drop unused ones"
            ) from None
        except errors.QueryCanceled:
            raise PostgresError(
                f"slot {outbox.slot} could not start within {STATEMENT_TIMEOUT_SECONDS} s because a transaction is "
                f"still open on {capture.host}:{capture.port}: end the one with the oldest xact_start in "
                "pg_stat_activity, or with the oldest prepared in pg_prepared_xacts",
                reason="TransactionOpen",
            ) from None


async def drop_slot(capture: Database, outbox: Outbox) -> None:
    """Drop the slot and end a walsender that still reads it (a role may end its own sessions)."""
    async with connected(capture, f"dropping the slot {outbox.slot}") as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = %s AND active",
            (outbox.slot,),
        )
        await connection.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            (outbox.slot,),
        )


async def drop_publication(owner: Database, outbox: Outbox) -> None:
    async with connected(owner, f"dropping the publication {outbox.publication}") as connection:
        await connection.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(sql.Identifier(outbox.publication)))


def table_identifier(outbox: Outbox) -> sql.Identifier:
    """The outbox's table, quoted for a statement."""
    return sql.Identifier(outbox.schema_name, outbox.table_name)


async def one(connection: Connection, query: str, *values: object) -> dict[str, Any] | None:
    """The first row that a query gives, or None."""
    cursor = await connection.execute(query, values)
    return await cursor.fetchone()
