"""What must be right before anything is made for an outbox, so that a mistake leaves nothing behind.

Neither PostgreSQL nor Debezium complains of a table that is no outbox: the slot then keeps WAL for a reader that never
has anything to publish.
"""

from collections.abc import Mapping

from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.errors import PostgresError
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.source import Connection, connected, one

_TEXT = ("text", "character varying")
_IDENTIFIER = ("uuid", *_TEXT)

# What the connector reads, with the types that consumers can take; `outbox_table()` of the participant kit has all.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": _IDENTIFIER,
    "aggregate_id": _IDENTIFIER,
    "aggregate_version": ("bigint", "integer"),
    "event_type": _TEXT,
    "event_version": _TEXT,
    "payload": ("jsonb", "json", "text"),
    "traceparent": _TEXT,
    "saga_id": _IDENTIFIER,
    "occurred_at": ("timestamp with time zone",),
}


async def check_outbox(outbox: Outbox, *, owner: Database, capture: Database, connect_url: str) -> None:
    """See that capture of this outbox can be made; nothing is changed anywhere.

    Raises
    ------
    CaptureError
        Naming what is not as it should be: address, login, table, column or right, and the next step.
    """
    await check_source(outbox, owner=owner, capture=capture)
    async with Connect(connect_url) as connect:
        await connect.config(outbox.connector)


async def check_source(outbox: Outbox, *, owner: Database, capture: Database) -> None:
    """See that both logins reach one database with logical WAL, and in it an outbox that the capture role may read.

    Raises
    ------
    PostgresError
        Naming the first thing that is not so, and the next step.
    """
    async with connected(owner, f"looking at {outbox.table}") as connection:
        described = await _database(connection)
        types = await _columns(connection, outbox)
    if not types:
        raise PostgresError(
            f"table {outbox.table} does not exist in {owner.address}: run the service's migration first"
        )
    if wrong := wrong_columns(types):
        raise PostgresError(
            f"table {outbox.table} in {owner.address} is no outbox: {'; '.join(wrong)}; name the service's outbox in "
            "spec.table, or mend it with a migration (the participant kit's outbox_table() has every column)"
        )
    async with connected(capture, f"checking the rights of {capture.username}") as connection:
        if await _database(connection) != described:
            raise PostgresError(
                f"databaseSecretRef leads to {owner.address} and captureSecretRef to {capture.address}, which are "
                "different databases: put the same host, port and database into both Secrets"
            )
        await _require_logical_wal(connection, capture)
        await _require_rights(connection, outbox, capture)


def wrong_columns(types: Mapping[str, str]) -> list[str]:
    """What a table with these columns lacks as an outbox, a phrase a column."""
    return [
        f"column {name} is {types[name]}, expected {' or '.join(expected)}"
        if name in types
        else f"column {name} ({expected[0]}) is missing"
        for name, expected in COLUMNS.items()
        if types.get(name) not in expected
    ]


async def _database(connection: Connection) -> dict[str, object] | None:
    """What tells a database from every other one, by whatever address it was reached."""
    return await one(
        connection,
        "SELECT pg_postmaster_start_time() AS server, oid FROM pg_database WHERE datname = current_database()",
    )


async def _columns(connection: Connection, outbox: Outbox) -> dict[str, str]:
    """The table's columns with their types, as `format_type` says them; none when there is no such table."""
    cursor = await connection.execute(
        """SELECT attname, format_type(atttypid, NULL) AS type
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped""",
        (outbox.schema_name, outbox.table_name),
    )
    return {str(row["attname"]): str(row["type"]) for row in await cursor.fetchall()}


async def _require_logical_wal(connection: Connection, capture: Database) -> None:
    row = await one(connection, "SELECT current_setting('wal_level') AS level")
    if row is None or row["level"] != "logical":
        level = row and row["level"]
        raise PostgresError(
            f"PostgreSQL {capture.host}:{capture.port} has wal_level={level}: set it to logical and restart the server"
        )


async def _require_rights(connection: Connection, outbox: Outbox, capture: Database) -> None:
    row = await one(
        connection,
        """SELECT has_schema_privilege(n.oid, 'USAGE') AS usage, has_table_privilege(c.oid, 'SELECT') AS read
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %s AND c.relname = %s""",
        outbox.schema_name,
        outbox.table_name,
    )
    if row is None or (row["usage"] and row["read"]):
        return  # no row: the table was dropped a moment ago, which the next look will say
    usage = "" if row["usage"] else f"GRANT USAGE ON SCHEMA {outbox.schema_name} TO {capture.username}; "
    read = "" if row["read"] else f"GRANT SELECT ON {outbox.table} TO {capture.username}; "
    raise PostgresError(f"{capture.address} may not read {outbox.table}: as its owner run {usage}{read}".rstrip("; "))
