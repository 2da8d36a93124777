"""Proof that a running connector delivers: heartbeats, rows that were missed, rows that cannot be published."""

from dataclasses import dataclass, replace

from psycopg import sql

from kompensa_cdc.capture import republish
from kompensa_cdc.capture.connect import Connect
from kompensa_cdc.capture.delivery import stall_text
from kompensa_cdc.capture.heartbeat import beat, topic_of
from kompensa_cdc.capture.outbox import Database, Outbox
from kompensa_cdc.capture.source import Slot, connected, read_slot
from kompensa_cdc.capture.status import OutboxStatus
from kompensa_cdc.capture.table import Table
from kompensa_cdc.capture.unpublishable import search


@dataclass(frozen=True, kw_only=True)
class Place:
    """The outbox, its table, and the way from there to Kafka."""

    outbox: Outbox
    table: Table
    capture: Database
    connect: Connect
    bootstrap: str


async def proved(place: Place, known: OutboxStatus, *, config: dict[str, str], wanted: str) -> OutboxStatus:
    """The status of an outbox whose connector runs: ready if what is written arrives, else why it does not."""
    heartbeat = await beat(place.capture, place.bootstrap, place.outbox)
    slot = await read_slot(place.capture, place.outbox)
    if slot is None:
        return known.unready("SlotLost", f"slot {place.outbox.slot} was dropped a moment ago")
    known = replace(known, lag_bytes=slot.lag_bytes, delivery=known.delivery.after(heartbeat, slot))
    if known.delivery.stalls(heartbeat.at):
        return known.unready("DeliveryStalled", await _stall_text(place, known, slot))
    if not known.delivery.delivered:
        return known.unready("ConnectorStarting", f"waiting for the first heartbeat in topic {topic_of(place.outbox)}")
    known = await _with_missed_rows(place, known, config=config, wanted=wanted)
    known = replace(known, search=await search(place.capture, place.outbox, place.table.types, known.search))
    return judged(place.outbox, known, slot)


def judged(outbox: Outbox, known: OutboxStatus, slot: Slot) -> OutboxStatus:
    """The status of an outbox whose heartbeats come: the gravest of the other findings, if there are any."""
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
        message = f"{known.message}; it is catching up: what was written last has not arrived yet"
        return replace(known, reason="CatchingUp", message=message)
    return known


async def holds_types(place: Place, types: list[str]) -> bool:
    """Whether the table has rows of these event types."""
    query = sql.SQL("SELECT FROM {} WHERE event_type = ANY (%s) LIMIT 1").format(_identifier(place.outbox))
    async with connected(place.capture, f"looking for events in {place.outbox.table}") as connection:
        return await (await connection.execute(query, (types,))).fetchone() is not None


async def _with_missed_rows(place: Place, known: OutboxStatus, *, config: dict[str, str], wanted: str) -> OutboxStatus:
    """Publish the rows of tables and partitions that are new to us; not ready until they are in Kafka."""
    outbox, table, done = place.outbox, place.table, replace(known, published=place.table.oids, barrier=None)
    missing = table.oids - (known.published or frozenset())
    if not missing:
        return done
    # Rows of a partition were committed before it was attached; those of a table may still be in a transaction.
    if table.oid in missing:
        oldest, following = await republish.running_transactions(place.capture, outbox)
        known = known if known.barrier is not None else replace(known, barrier=following)
        if known.barrier is not None and oldest < known.barrier:
            return known.unready(
                "Republishing",
                f"{_what(outbox)}, once the transactions have ended that are open since before; see pg_stat_activity "
                "and pg_prepared_xacts for the oldest",
            )
    if not await republish.has_rows(place.capture, outbox, missing, wanted) or await republish.republish(
        outbox, table, missing, config=config, wanted=wanted, connect=place.connect
    ):
        await republish.remove(outbox, place.connect)
        return done
    return known.unready("Republishing", _what(outbox))


def _what(outbox: Outbox) -> str:
    return (
        f"rows of {outbox.table} were written while they were not in the stream, because the table or a partition was "
        "recreated, or its publication was wrong: they are published now"
    )


async def _stall_text(place: Place, known: OutboxStatus, slot: Slot) -> str:
    """The message; what waits in the table is looked up once, when the stall begins."""
    if known.reason == "DeliveryStalled" and known.message:
        return known.message
    waiting = await _oldest_waiting(place, known.delivery.delivered)
    return stall_text(place.outbox, known.delivery, slot, topic=topic_of(place.outbox), unpublished=waiting)


async def _oldest_waiting(place: Place, since: float) -> str:
    query = sql.SQL(
        "SELECT count(*) AS rows, min(occurred_at)::timestamptz(0) AS oldest"
        " FROM {} WHERE occurred_at > to_timestamp(%s)"
    ).format(_identifier(place.outbox))
    async with connected(place.capture, f"looking for events in {place.outbox.table}") as connection:
        row = await (await connection.execute(query, (since,))).fetchone()
    if row is None or not row["rows"]:
        return ""
    return f"; {row['rows']} rows of {place.outbox.table} wait, the oldest since {row['oldest']}"


def _identifier(outbox: Outbox) -> sql.Identifier:
    return sql.Identifier(outbox.schema_name, outbox.table_name)
