"""Proof that a running connector delivers: heartbeats, rows that were missed, rows that cannot be published."""

from dataclasses import dataclass, replace

from psycopg import errors, sql

from kompensa_cdc.capture import republish
from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.delivery import stall_text
from kompensa_cdc.capture.heartbeat import beat, topic_of
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.source import Slot, connected, read_slot, table_identifier
from kompensa_cdc.capture.status import OutboxStatus
from kompensa_cdc.capture.table import Table
from kompensa_cdc.capture.unpublishable import search


@dataclass(frozen=True, kw_only=True)
class CapturePath:
    """The outbox, its table, and the way from there to Kafka: database, connector, brokers."""

    outbox: Outbox
    table: Table
    capture: Database
    connect: Connect
    bootstrap: str


async def prove_delivery(
    path: CapturePath, known: OutboxStatus, *, config: dict[str, str], row_filter: str
) -> OutboxStatus:
    """Return the status of an outbox whose connector runs: ready if written rows arrive, or else the reason."""
    heartbeat = await beat(path.capture, path.bootstrap, path.outbox)
    slot = await read_slot(path.capture, path.outbox)
    if slot is None:
        return known.unready("SlotLost", f"slot {path.outbox.slot} was dropped a moment ago")
    known = replace(known, lag_bytes=slot.lag_bytes, delivery=known.delivery.after(heartbeat, slot))
    if known.delivery.stalls(heartbeat.at):
        return known.unready("DeliveryStalled", await _stall_text(path, known, slot))
    if not known.delivery.delivered:
        return known.unready("ConnectorStarting", f"waiting for the first heartbeat in topic {topic_of(path.outbox)}")
    known = await _republished(path, known, config=config, row_filter=row_filter)
    known = replace(known, search=await search(path.capture, path.outbox, path.table, known.search))
    return with_other_findings(path.outbox, known, slot)


def with_other_findings(outbox: Outbox, known: OutboxStatus, slot: Slot) -> OutboxStatus:
    """Add the gravest of the other findings to the status of an outbox whose heartbeats come."""
    if slot.at_risk:
        return known.unready(
            "SlotAtRisk",
            f"slot {outbox.slot} is {slot.lag_bytes} bytes behind, more than max_slot_wal_keep_size keeps: the next "
            "checkpoint may remove WAL that was not published; raise the setting until the connector has caught up",
        )
    if not known.ready:
        return known
    if known.search.reason:
        return known.unready(known.search.reason, known.search.message)
    if known.slot_lost:
        return known
    if slot.prepared:
        message = (
            f"{known.message}; but a prepared transaction makes the database keep its WAL until the disk is full "
            f"({slot.prepared}): end it with COMMIT PREPARED or ROLLBACK PREPARED"
        )
        return replace(known, reason="TransactionOpen", message=message)
    if known.delivery.waiting:
        message = f"{known.message}; it is catching up: the newest rows have not arrived yet"
        return replace(known, reason="CatchingUp", message=message)
    return known


async def holds_events_of(path: CapturePath, types: list[str]) -> bool:
    """Whether the table has rows of these types, of events or of aggregates as the route says."""
    table, route = table_identifier(path.outbox), path.outbox.columns.name(path.outbox.route_meaning)
    query = sql.SQL("SELECT FROM {} WHERE {} = ANY (%s) LIMIT 1").format(table, sql.Identifier(route))
    async with connected(path.capture, f"looking for events in {path.outbox.table}") as connection:
        return await (await connection.execute(query, (types,))).fetchone() is not None


async def _republished(
    path: CapturePath, known: OutboxStatus, *, config: dict[str, str], row_filter: str
) -> OutboxStatus:
    """Publish the rows of tables and partitions that were not in the stream; not ready until they are in Kafka."""
    outbox, table, done = path.outbox, path.table, replace(known, published=path.table.oids, barrier=None)
    missing = table.oids - (known.published or frozenset())
    if not missing:
        return done
    # Rows of a partition were committed before it was attached; those of a table may still be in a transaction.
    if table.oid in missing:
        oldest, following = await republish.running_transactions(path.capture, outbox)
        known = known if known.barrier is not None else replace(known, barrier=following)
        if known.barrier is not None and oldest < known.barrier:
            return known.unready(
                "Republishing",
                f"{_republishing_text(outbox)}, once the transactions have ended that are open since before; see "
                "pg_stat_activity and pg_prepared_xacts for the oldest",
            )
    if not await republish.has_rows(path.capture, outbox, missing, row_filter) or await republish.republish(
        outbox, table, missing, config=config, row_filter=row_filter, connect=path.connect
    ):
        await republish.remove(outbox, path.connect)
        return done
    return known.unready("Republishing", _republishing_text(outbox))


def _republishing_text(outbox: Outbox) -> str:
    return (
        f"rows of {outbox.table} were written while they were not in the stream, because the table or a partition was "
        "recreated, or its publication was wrong: they are published now"
    )


async def _stall_text(path: CapturePath, known: OutboxStatus, slot: Slot) -> str:
    """Return the message. The waiting rows are counted once, when the stall begins."""
    if known.reason == "DeliveryStalled" and known.message:
        return known.message
    waiting = await _oldest_waiting(path, known.delivery.delivered)
    return stall_text(path.outbox, known.delivery, slot, topic=topic_of(path.outbox), unpublished=waiting)


async def _oldest_waiting(path: CapturePath, since: float) -> str:
    query = sql.SQL(
        "SELECT count(*) AS rows, min({time})::timestamptz(0) AS oldest FROM {table} WHERE {time} > to_timestamp(%s)"
    ).format(table=table_identifier(path.outbox), time=sql.Identifier(path.outbox.columns.occurred_at))
    async with connected(path.capture, f"looking for events in {path.outbox.table}") as connection:
        try:
            row = await (await connection.execute(query, (since,))).fetchone()
        except errors.QueryCanceled:
            return ""  # the table is too large to be counted; the stall is reported without a number
    if row is None or not row["rows"]:
        return ""
    return f"; {row['rows']} rows of {path.outbox.table} wait, the oldest since {row['oldest']}"
