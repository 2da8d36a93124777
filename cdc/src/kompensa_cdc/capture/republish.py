"""Publish rows that are in the table and never came into the stream.

Their place in the WAL was passed without them: the table was recreated, or its publication was changed by hand. A
second connector reads them by its initial reading of the table and takes no slot, while the first one goes on, so
that nothing of the stream is lost. Consumers see some events twice, which at least once allows.
"""

import re

from psycopg import sql

from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.connector import reading_order
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.source import connected, one, table_identifier
from kompensa_cdc.capture.table import Table

# An underscore is in no name of Kubernetes: no other Outbox's connector can have this name.
SUFFIX = "_republish"


def republisher(outbox: Outbox) -> str:
    """The name of the second connector."""
    return outbox.connector + SUFFIX


def republishing_config(
    config: dict[str, str], outbox: Outbox, *, oids: frozenset[int], row_filter: str
) -> dict[str, str]:
    """Return the configuration of the connector that reads these parts of the table once.

    Parameters
    ----------
    config
        That of the connector that follows the slot.
    oids
        The table that holds the rows, or some of its partitions.
    row_filter
        The condition under which a row can be published.
    """
    name = republisher(outbox)
    kept = {key: value for key, value in config.items() if not key.startswith(("heartbeat.", "message.prefix."))}
    parts = ",".join(str(oid) for oid in sorted(oids))
    missed = f"tableoid = ANY ('{{{parts}}}'::oid[]) AND {row_filter}"
    statement = f"SELECT * FROM {outbox.table} WHERE {missed}{reading_order(outbox)}"
    return kept | {
        "topic.prefix": name,
        "snapshot.mode": "initial_only",
        "slot.name": outbox.slot + SUFFIX,  # never made: nothing is streamed
        f"snapshot.select.statement.overrides.{outbox.table}": statement,
        "predicates.isOutbox.pattern": re.escape(f"{name}.{outbox.table}"),
    }


async def running_transactions(capture: Database, outbox: Outbox) -> tuple[int, int]:
    """The oldest transaction that runs, and the first that has not begun.

    A transaction may have written rows before the publication was repaired. They are not in the stream, and not in the
    table either until it has committed. So the table is read once the transactions have ended that ran at the repair.
    """
    async with connected(capture, f"looking for open transactions before reading {outbox.table}") as connection:
        row = await one(
            connection,
            "SELECT pg_snapshot_xmin(s)::text::bigint AS oldest, pg_snapshot_xmax(s)::text::bigint AS next"
            " FROM pg_current_snapshot() s",
        )
    return (int(row["oldest"]), int(row["next"])) if row else (0, 0)


async def has_rows(capture: Database, outbox: Outbox, oids: frozenset[int], row_filter: str) -> bool:
    """Whether there is a row to publish: a connector that finds none never says that it is done."""
    query = sql.SQL("SELECT FROM {} WHERE tableoid = ANY (%s::oid[]) AND {} LIMIT 1").format(
        table_identifier(outbox),
        sql.SQL(row_filter),
    )
    async with connected(capture, f"looking for rows of {outbox.table}") as connection:
        return await (await connection.execute(query, (sorted(oids),))).fetchone() is not None


async def republish(
    outbox: Outbox, table: Table, missing: frozenset[int], *, config: dict[str, str], row_filter: str, connect: Connect
) -> bool:
    """Go on publishing the rows of these parts; return whether all of them are in Kafka."""
    name = republisher(outbox)
    present = await connect.config(name)
    expected = republishing_config(config, outbox, oids=missing & table.oids, row_filter=row_filter)
    if present is not None and present != expected:
        await remove(outbox, connect)  # begun for another table, or with other settings
        present = None
    if present is None:
        await connect.put_config(name, expected)
        return False
    state = await connect.state(name)
    if state is not None and state.summary == "FAILED":
        await connect.restart_failed(name)
    return await connect.has_read_all(name)


async def remove(outbox: Outbox, connect: Connect) -> None:
    """Delete the second connector with its offsets, so that the next one begins at the beginning."""
    name = republisher(outbox)
    if await connect.config(name) is not None:
        await connect.stop(name)
        await connect.forget_offsets(name)
        await connect.delete(name)
