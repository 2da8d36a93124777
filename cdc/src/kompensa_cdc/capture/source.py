"""The PostgreSQL side of capture: publication, replication slot, and how far the slot is behind.

The publication is made by the table's owner, the slot by the capture role (LOGIN REPLICATION), so neither needs more
than it has. Every connection has time-outs, and every function may be called again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row

from kompensa_cdc.capture.errors import PostgresError
from kompensa_cdc.capture.outbox import Database, Outbox

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 15
FAILOVER_SINCE = 170000  # server_version_num from which a slot can follow a failover

Connection = psycopg.AsyncConnection[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A replication slot as the server tells it. `lost` means its WAL is gone and it can never be read again."""

    active: bool
    lost: bool
    lag_bytes: int


@asynccontextmanager
async def connected(database: Database, purpose: str) -> AsyncIterator[Connection]:
    """Open a connection for one errand; every failure comes out as PostgresError that names server and purpose."""
    try:
        connection = await psycopg.AsyncConnection.connect(
            host=database.host,
            port=database.port,
            dbname=database.database,
            user=database.username,
            password=database.password,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            options=f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c lock_timeout={STATEMENT_TIMEOUT_SECONDS}s",
            application_name="kompensa capture",
            autocommit=True,
            row_factory=dict_row,
        )
    except psycopg.Error as error:
        raise PostgresError(
            f"cannot connect to PostgreSQL as {database.address}: {first_line(error)}; "
            "check host, port, database, username and password in the Secret"
        ) from None
    async with connection:
        try:
            yield connection
        except psycopg.Error as error:
            raise PostgresError(f"{purpose} on PostgreSQL {database.address} failed: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """One line of an error, for a Condition; libpq's own texts carry no password."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def publication_sql(outbox: Outbox) -> sql.Composed:
    """Only inserts: an outbox row is never changed, and its deletion is house-keeping.

    A partitioned outbox speaks under its own name; the connector knows none of its partitions.
    """
    return sql.SQL(
        "CREATE PUBLICATION {} FOR TABLE {} WITH (publish = 'insert', publish_via_partition_root = true)"
    ).format(sql.Identifier(outbox.publication), sql.Identifier(outbox.schema_name, outbox.table_name))


def mended_publication_sql(outbox: Outbox) -> tuple[sql.Composed, ...]:
    """What makes a publication that is there one of this outbox."""
    publication = sql.Identifier(outbox.publication)
    table = sql.Identifier(outbox.schema_name, outbox.table_name)
    return (
        sql.SQL("ALTER PUBLICATION {} SET TABLE {}").format(publication, table),
        sql.SQL("ALTER PUBLICATION {} SET (publish_via_partition_root = true)").format(publication),
    )


def slot_sql(*, server_version: int) -> sql.SQL:
    """The call that makes the slot; from PostgreSQL 17 on it asks for the slot to survive a failover."""
    failover = ", failover => true" if server_version >= FAILOVER_SINCE else ""
    return sql.SQL(f"SELECT pg_create_logical_replication_slot(%s, 'pgoutput'{failover})")


async def ensure_publication(owner: Database, outbox: Outbox) -> None:
    """Make the publication, or point it at the outbox's table if it names another."""
    async with connected(owner, f"making the publication {outbox.publication}") as connection:
        published = await _published(connection, outbox)
        if published == ([outbox.table], True):
            return
        try:
            for statement in (publication_sql(outbox),) if published is None else mended_publication_sql(outbox):
                await connection.execute(statement)
        except errors.DuplicateObject:
            return  # made by another operator a moment ago
        except errors.InsufficientPrivilege as error:
            raise PostgresError(
                f"{owner.address} may not make a publication ({first_line(error)}): it must own {outbox.table} and "
                f"needs GRANT CREATE ON DATABASE {owner.database} TO {owner.username}"
            ) from None


async def _published(connection: Connection, outbox: Outbox) -> tuple[list[str], bool] | None:
    """The tables of our publication as schema.table, and whether partitions speak under their root's name.

    None if there is no such publication.
    """
    row = await one(
        connection,
        """SELECT array_remove(array_agg(t.schemaname || '.' || t.tablename), NULL) AS tables, p.pubviaroot
             FROM pg_publication p LEFT JOIN pg_publication_tables t USING (pubname)
            WHERE p.pubname = %s GROUP BY p.pubname, p.pubviaroot""",
        outbox.publication,
    )
    return None if row is None else ([str(table) for table in row["tables"] or []], bool(row["pubviaroot"]))


async def read_slot(capture: Database, outbox: Outbox) -> Slot | None:
    """Return the slot's state, or None if there is none."""
    async with connected(capture, f"reading the slot {outbox.slot}") as connection:
        row = await one(
            connection,
            """SELECT active, wal_status IS NOT DISTINCT FROM 'lost' AS lost,
                      coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint AS lag_bytes
                 FROM pg_replication_slots WHERE slot_name = %s""",
            outbox.slot,
        )
    return None if row is None else Slot(active=row["active"], lost=row["lost"], lag_bytes=max(0, row["lag_bytes"]))


async def create_slot(capture: Database, outbox: Outbox) -> None:
    """Make the slot; what is committed from here on is kept for Debezium."""
    async with connected(capture, f"making the slot {outbox.slot}") as connection:
        try:
            await connection.execute(slot_sql(server_version=connection.info.server_version), (outbox.slot,))
        except errors.DuplicateObject:
            return  # made by another operator a moment ago
        except errors.InsufficientPrivilege:
            raise PostgresError(
                f"{capture.address} may not make a replication slot: ALTER ROLE {capture.username} REPLICATION"
            ) from None
        except errors.ConfigurationLimitExceeded:
            raise PostgresError(
                f"no replication slot is free on {capture.address}: raise max_replication_slots or drop unused ones"
            ) from None
        except errors.QueryCanceled:
            raise PostgresError(
                f"slot {outbox.slot} could not start within {STATEMENT_TIMEOUT_SECONDS} s because a transaction is "
                f"still open on {capture.host}:{capture.port}: see pg_stat_activity for the oldest xact_start"
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


async def one(connection: Connection, query: str, *values: object) -> dict[str, Any] | None:
    """The first row that a query gives, or None."""
    cursor = await connection.execute(query, values)
    return await cursor.fetchone()
