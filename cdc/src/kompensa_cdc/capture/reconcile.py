"""Bring one outbox's capture to what its object says, from whatever is there.

Level-triggered: it may be called at any time and any number of times, by one caller at a time per outbox. If a
neighbour refuses something, the status says so; only a defect of this code raises.
Order matters four times. Mistakes are looked for before anything is made. A pass that finds a lost slot, or rows that
were kept from the stream, ends with that reason. The caller writes it down, and the next pass repairs: a crash in
between forgets nothing. Old offsets are forgotten before a new slot is made, so that a crash in between only repeats
it. And nothing is Ready before `proof` has seen it arrive.
"""

import asyncio
import time
from dataclasses import replace

from kompensa_cdc.capture import republish, source
from kompensa_cdc.capture.checks import check_source
from kompensa_cdc.capture.connect import Connect, ConnectorState
from kompensa_cdc.capture.connector import connector_config
from kompensa_cdc.capture.errors import CaptureError, ConnectError, PostgresError
from kompensa_cdc.capture.outbox import Credentials, Database, Outbox
from kompensa_cdc.capture.proof import CapturePath, holds_events_of, prove_delivery
from kompensa_cdc.capture.publication import (
    Publication,
    ensure_publication,
    optional_columns,
    publishable,
    read_publication,
)
from kompensa_cdc.capture.status import OutboxStatus, restart_pause
from kompensa_cdc.capture.topics import ensure_topics, missing_topics

SETTLE_SECONDS = 15.0
SETTLE_PAUSE_SECONDS = 0.25
_AT_REST = ("STOPPED", "PAUSED")


async def reconcile_outbox(
    outbox: Outbox,
    *,
    owner: Database,
    capture: Database,
    credentials: Credentials,
    connect_url: str,
    bootstrap: str,
    previous: OutboxStatus | None = None,
) -> OutboxStatus:
    """Make or repair topics, publication, slot and connector, and report how they are.

    Parameters
    ----------
    owner, capture
        Logins of the table's owner (makes the publication) and of the capture role (makes the slot; Debezium's own).
    credentials
        How the connector's configuration refers to the capture login.
    previous
        The status of the last call: it carries the back-off of restarts and the missed rows.
    """
    known = previous or OutboxStatus.fresh(outbox)
    try:
        table = await check_source(outbox, owner=owner, capture=capture)
        row_filter = publishable(outbox, table.types)
        optional = optional_columns(outbox, table.types)
        config = connector_config(outbox, capture, credentials, row_filter=row_filter, optional=optional)
        async with Connect(connect_url) as connect:
            path = CapturePath(outbox=outbox, table=table, capture=capture, connect=connect, bootstrap=bootstrap)
            await _require_slot_for_itself(connect, config, outbox)
            publication = await _publication(capture, outbox)
            if missed := await _missed(path, publication, row_filter, known):
                return missed
            await ensure_topics(bootstrap, outbox)
            ensured = await _ensure_stream(path, owner, publication, known, config=config, row_filter=row_filter)
            if ensured is None:
                return known.lost(outbox)
            known = ensured  # stays known if the next step fails
            known = await _after(await _settled(connect, outbox.connector), outbox, connect, known)
            return await prove_delivery(path, known, config=config, row_filter=row_filter) if known.ready else known
    except CaptureError as error:
        return known.with_error(error)


async def _require_slot_for_itself(connect: Connect, config: dict[str, str], outbox: Outbox) -> None:
    if others := await connect.others_on_slot(config, outbox.connector):
        raise ConnectError(
            f"connector {', '.join(others)} at Kafka Connect reads the slot {outbox.slot} too, so that each event goes "
            f"to only one of them: delete it with DELETE /connectors/{others[0]}",
            reason="SlotTaken",
        )


async def _publication(capture: Database, outbox: Outbox) -> Publication | None:
    async with source.connected(capture, f"reading the publication {outbox.publication}") as connection:
        return await read_publication(connection, outbox)


async def _missed(
    path: CapturePath, publication: Publication | None, row_filter: str, known: OutboxStatus
) -> OutboxStatus | None:
    """A status that says that rows were kept from the stream; None if there are none, or if it has been written."""
    outbox = path.outbox
    if not known.published:
        return None
    if publication is not None and (why := publication.loses(path.table, row_filter)):
        return known.with_rows_missed().unready(
            "PublicationChanged",
            f"publication {outbox.publication} keeps rows of {outbox.table} from the stream: {why}; it is corrected "
            "next, and the rows that are in the table are published again",
        )
    missing = await missing_topics(path.bootstrap, outbox)
    types = [topic.removeprefix(f"{outbox.topic_prefix}.") for topic in missing]
    if missing and await holds_events_of(path, types):
        return known.with_rows_missed().unready(
            "TopicDeleted",
            f"topic {', '.join(missing)} does not exist although {outbox.table} holds its events; it is created next, "
            "and the rows that are in the table are published again",
        )
    return None


async def _ensure_stream(
    path: CapturePath,
    owner: Database,
    publication: Publication | None,
    known: OutboxStatus,
    *,
    config: dict[str, str],
    row_filter: str,
) -> OutboxStatus | None:
    """Make or repair publication, slot and connector; None if a lost slot is found, before anything is repaired."""
    outbox, connect, capture = path.outbox, path.connect, path.capture
    present = await connect.config(outbox.connector)
    slot = await _usable_slot(capture, outbox, publication)
    lost = slot is None or slot.lost
    was_reading = lost and await _was_reading(outbox, connect)
    if was_reading and not known.slot_lost:
        return None
    await ensure_publication(owner, outbox, path.table, row_filter, publication)
    if lost:
        await _recreate_slot(outbox, capture, connect, slot, present, config, was_reading=was_reading)
        await republish.remove(outbox, connect)
        known = replace(known, published=None)
    elif present != config:
        await connect.put_config(outbox.connector, config)
    # A new slot's connector first reads the table, and publishes all of its rows.
    return known if known.published is not None else replace(known, published=path.table.oids)


async def _usable_slot(capture: Database, outbox: Outbox, publication: Publication | None) -> source.Slot | None:
    """The slot; marked as lost if its publication was dropped.

    PostgreSQL looks a publication up as it was at each place of the WAL. A slot that has still to pass a place without
    the publication is of no use, even if the publication was made again.
    """
    slot = await source.read_slot(capture, outbox)
    if slot is None:
        return None
    if slot.foreign:
        raise PostgresError(
            f"{outbox.slot} on {capture.host}:{capture.port} is {slot.foreign}: drop it with "
            f"SELECT pg_drop_replication_slot('{outbox.slot}'), or give the Outbox another name",
            reason="SlotTaken",
        )
    return replace(slot, lost=slot.lost or publication is None)


async def _was_reading(outbox: Outbox, connect: Connect) -> bool:
    """A connector that was never allowed to run has read nothing that could be missing now."""
    state = await connect.state(outbox.connector)
    return state is not None and state.connector != "STOPPED"


async def _recreate_slot(
    outbox: Outbox,
    capture: Database,
    connect: Connect,
    slot: source.Slot | None,
    present: dict[str, str] | None,
    config: dict[str, str],
    *,
    was_reading: bool,
) -> None:
    """Make the slot that is missing, or is there and lost, and leave a connector stopped that begins with it."""
    if present is None:
        await connect.create_stopped(outbox.connector, config)
    else:
        await connect.stop(outbox.connector)
    await connect.forget_offsets(outbox.connector)
    if slot is not None:
        await source.drop_slot(capture, outbox)
    try:
        await source.create_slot(capture, outbox)
    except CaptureError:
        if not was_reading:
            await connect.delete(outbox.connector)
        raise
    if present not in (None, config):
        await connect.put_config(outbox.connector, config)


async def _settled(connect: Connect, name: str) -> ConnectorState | None:
    """Wait, within a bound, until the connector runs or has failed; a connector at rest is set going."""
    deadline = time.monotonic() + SETTLE_SECONDS
    asked = False
    while True:
        state = await connect.state(name)
        if state is not None and state.summary in ("RUNNING", "FAILED"):
            return state
        if state is not None and state.connector in _AT_REST and not asked:
            await connect.resume(name)
            asked = True
        if time.monotonic() > deadline:
            return state
        await asyncio.sleep(SETTLE_PAUSE_SECONDS)


async def _after(state: ConnectorState | None, outbox: Outbox, connect: Connect, known: OutboxStatus) -> OutboxStatus:
    word = state.summary if state else "Absent"
    if state is None or word not in ("RUNNING", "FAILED"):
        message = f"connector {outbox.connector} is {word} at Kafka Connect; waiting for it to run"
        return replace(known, connector_state=word, ready=False, reason="ConnectorStarting", message=message)
    if word == "FAILED":
        return await _restarted(state, outbox, connect, known)
    if known.restarts and time.time() < known.restart_at:
        # A connector that fails again and again is RUNNING for a moment after each restart: wait for its pause.
        return replace(known, connector_state=word)
    message = known.last_error if known.slot_lost else f"{outbox.table} is published to {outbox.topic_prefix}.*"
    reason = "SlotRecreated" if known.slot_lost else "Capturing"
    known = replace(known, connector_state=word, ready=True, reason=reason, message=message, restarts=0, restart_at=0.0)
    return replace(known, last_error=known.last_error if known.slot_lost else "")


async def _restarted(state: ConnectorState, outbox: Outbox, connect: Connect, known: OutboxStatus) -> OutboxStatus:
    now = time.time()
    if now >= known.restart_at:
        await connect.restart_failed(outbox.connector)
        known = replace(known, restarts=known.restarts + 1, restart_at=now + restart_pause(known.restarts))
    message = (
        f"connector {outbox.connector} failed ({state.trace or 'no trace'}); restart {known.restarts} is under way"
    )
    return replace(known.unready("ConnectorFailed", message), connector_state="FAILED")
