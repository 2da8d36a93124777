"""Checks of an outbox's database, at its declaration and on every later pass.

PostgreSQL and Debezium raise no error about most of it: the connector runs, the slot moves, and some or all rows of
the table never come. Each check raises with a reason of its own, and says which statement puts it right.
"""

from functools import partial

from kompensa_cdc.capture.columns import DEFAULTS, MAY_BE_NULL, OPTIONAL, required_columns
from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.errors import PostgresError, TableError
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.pooler import require_replication
from kompensa_cdc.capture.source import Connection, connected, one, open_connection
from kompensa_cdc.capture.table import Column, Table, read_table

OLDEST_SERVER = 150000  # server_version_num of the first PostgreSQL whose publications have row filters


async def check_outbox(outbox: Outbox, *, owner: Database, capture: Database, connect_url: str) -> None:
    """Check that this outbox can be captured; nothing is changed anywhere.

    Raises
    ------
    CaptureError
        Naming what is wrong (address, login, table, column or right) and the next step.
    """
    await check_source(outbox, owner=owner, capture=capture)
    async with Connect(connect_url) as connect:
        await connect.config(outbox.connector)


async def check_source(outbox: Outbox, *, owner: Database, capture: Database) -> Table:
    """Return the table, once both logins reach one database with logical WAL and all of the table's rows are published.

    Raises
    ------
    PostgresError
        Naming the first thing that is wrong, and the next step.
    """
    async with connected(owner, f"looking at {outbox.table}") as connection:
        described = await _database(connection)
    async with connected(capture, f"looking at {outbox.table}") as connection:
        if await _database(connection) != described:
            raise PostgresError(
                f"databaseSecretRef leads to {owner.address} and captureSecretRef to {capture.address}, which are "
                "different databases: put the same host, port and database into both Secrets"
            )
        table = await read_table(connection, outbox)
        check_table(table, outbox, owner=owner, capture=capture)
        await _require_logical_wal(connection, capture)
        await require_replication(connection, capture, partial(open_connection, capture))
    if table is None:
        raise AssertionError("check_table lets no missing table pass")
    return table


def check_table(table: Table | None, outbox: Outbox, *, owner: Database, capture: Database) -> None:
    """Raise for the first thing about the table that keeps rows from the stream.

    Raises
    ------
    TableError
        With the reason TableMissing, TableUnsuitable, RightsMissing, RowsHidden or TableTaken.
    """
    if table is None:
        raise TableError(
            f"table {outbox.table} does not exist in {owner.address}: run the service's migration first",
            reason="TableMissing",
            rows_missed=False,  # a table that comes back has another OID
        )
    if wrong := unsuitable(table, outbox):
        raise TableError(
            f"table {outbox.table} in {owner.address} cannot be an outbox: {'; '.join(wrong)}", reason="TableUnsuitable"
        )
    if missing := missing_rights(table, capture):
        raise TableError(
            f"{capture.address} may not read {outbox.table}: as its owner run {missing}",
            reason="RightsMissing",
            rows_missed=False,  # the connector fails loudly, and reads on once it may
        )
    if table.rows_hidden:
        raise TableError(
            f"row-level security hides rows of {outbox.table} from {capture.username}, so that the rows that are in "
            f"the table already would not be published: run ALTER ROLE {capture.username} BYPASSRLS, or "
            f"ALTER TABLE {outbox.table} DISABLE ROW LEVEL SECURITY",
            reason="RowsHidden",
        )
    if table.others:
        raise TableError(
            f"{outbox.table} is published by another Outbox already, under the publication and slot "
            f"{', '.join(table.others)}: delete one of the two; if no Outbox of that name exists, drop both",
            reason="TableTaken",
            rows_missed=False,
        )


def unsuitable(table: Table, outbox: Outbox) -> list[str]:
    """Why the table cannot be an outbox, each reason with what to do."""
    if not table.is_table:
        return [f"it is a {table.kind_name}, and only rows of tables are in the WAL: name a table in spec.table"]
    if wrong := wrong_columns(table, outbox):
        wrong[-1] += (
            "; name the service's outbox in spec.table, or its columns in spec.columns, or correct it by a migration "
            "(the participant kit's outbox_table() has every column)"
        )
        return wrong
    found = _outside_the_wal(table)
    found += [
        f"table {child} inherits from it, and its rows are not published: run ALTER TABLE {child} "
        f"NO INHERIT {table.name}, or use declarative partitions"
        for child in table.children
    ]
    found += [
        f"rule {rule} puts something else in the place of an INSERT: run DROP RULE {rule} ON {table.name}"
        for rule in table.rules
    ]
    if not table.id_is_unique:
        id_ = outbox.columns.id
        found.append(f"column {id_} is in no unique index: run ALTER TABLE {table.name} ADD PRIMARY KEY ({id_})")
    return found


def _outside_the_wal(table: Table) -> list[str]:
    return [
        f"{leaf.name} is a foreign table, whose rows are not in this database's WAL: detach it"
        if leaf.kind == "f"
        else f"{leaf.name} is UNLOGGED, so that its rows are not in the WAL: run ALTER TABLE {leaf.name} SET LOGGED"
        for leaf in (table.leaves if table.kind == "p" else (table,))
        if leaf.kind == "f" or not leaf.logged
    ]


def wrong_columns(table: Table, outbox: Outbox) -> list[str]:
    """The columns that cannot be those of an outbox, a phrase each."""
    columns = outbox.columns
    named = {meaning: types for meaning, types in OPTIONAL.items() if columns.name(meaning) != DEFAULTS.name(meaning)}
    found = [
        _wrong_column(table, columns.name(meaning), expected, nullable=meaning in MAY_BE_NULL)
        for meaning, expected in {**required_columns(outbox.route), **named}.items()
    ]
    return [phrase for phrase in found if phrase]


def _wrong_column(table: Table, name: str, expected: tuple[str, ...], *, nullable: bool) -> str:
    column: Column | None = table.columns.get(name)
    if column is None:
        return f"column {name} ({expected[0]}) is missing"
    if column.type not in expected:
        return f"column {name} is {column.type}, expected {' or '.join(expected)}"
    if column.generated:
        return f"column {name} is generated, and PostgreSQL does not publish such columns: make it a plain column"
    if column.nullable and not nullable:
        return (
            f"column {name} may be NULL, which no record can be: "
            f"run ALTER TABLE {table.name} ALTER COLUMN {name} SET NOT NULL"
        )
    return ""


def missing_rights(table: Table, capture: Database) -> str:
    """The statements that give the capture role what it lacks."""
    schema = table.name.split(".", 1)[0]
    usage = "" if table.may_use_schema else f"GRANT USAGE ON SCHEMA {schema} TO {capture.username}; "
    read = "" if table.may_read else f"GRANT SELECT ON {table.name} TO {capture.username}; "
    return f"{usage}{read}".rstrip("; ")


async def _database(connection: Connection) -> dict[str, object] | None:
    """An identity of the database, the same by whatever address it was reached."""
    return await one(
        connection,
        "SELECT pg_postmaster_start_time() AS server, oid FROM pg_database WHERE datname = current_database()",
    )


async def _require_logical_wal(connection: Connection, capture: Database) -> None:
    server = f"PostgreSQL {capture.host}:{capture.port}"
    if connection.info.server_version < OLDEST_SERVER:
        raise PostgresError(f"{server} is older than 15, whose publications have no row filter: upgrade it")
    row = await one(connection, "SELECT current_setting('wal_level') AS level, pg_is_in_recovery() AS standby")
    if row is not None and row["standby"]:
        raise PostgresError(f"{server} is a standby: put the primary's address into both Secrets")
    if row is None or row["level"] != "logical":
        level = row and row["level"]
        raise PostgresError(f"{server} has wal_level={level}: set it to logical and restart the server")
