"""Bring one outbox's capture to what its object says, from whatever is there.

Level-triggered: it may be called at any time and any number of times, by one caller at a time per outbox. What a
neighbour refuses comes back as a status that says so; only a defect of ours raises.
Order matters three times. What can be wrong is looked for before anything is made. That a slot was lost is told, and
by the caller written down, before the traces of it go: a pass ends with `SlotLost` and the next one mends. Old offsets
are forgotten before a new slot is made, so that a crash in between only repeats it.
"""

import asyncio
import time
from dataclasses import replace

from kompensa_cdc.capture import source
from kompensa_cdc.capture.checks import check_source
from kompensa_cdc.capture.connect import Connect, ConnectorState
from kompensa_cdc.capture.connector import connector_config
from kompensa_cdc.capture.errors import CaptureError
from kompensa_cdc.capture.outbox import Credentials, Database, Outbox
from kompensa_cdc.capture.status import OutboxStatus, restart_pause
from kompensa_cdc.capture.topics import ensure_topics

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
    """Make or mend topics, publication, slot and connector, and tell how they are.

    Parameters
    ----------
    owner, capture
        Logins of the table's owner (makes the publication) and of the capture role (makes the slot; Debezium's own).
    credentials
        How the connector's configuration refers to the capture login.
    previous
        The status of the last call: it carries the back-off of restarts and the memory of a lost slot.
    """
    known = previous or OutboxStatus.fresh(outbox)
    try:
        await check_source(outbox, owner=owner, capture=capture)
        async with Connect(connect_url) as connect:
            present = await connect.config(outbox.connector)
            await ensure_topics(bootstrap, outbox)
            await source.ensure_publication(owner, outbox)
            config = connector_config(outbox, capture, credentials)
            slot = await source.read_slot(capture, outbox)
            if slot is None or slot.lost:
                was_reading = await _was_reading(outbox, connect)
                if was_reading and not known.slot_lost:
                    return known.lost(outbox)
                await _slot_anew(outbox, capture, connect, slot, present, config, was_reading=was_reading)
            elif present != config:
                await connect.put_config(outbox.connector, config)
            state = await _settled(connect, outbox.connector)
            known = await _after(state, outbox, connect, known)
        slot = await source.read_slot(capture, outbox)
        return replace(known, lag_bytes=slot.lag_bytes if slot else known.lag_bytes)
    except CaptureError as error:
        return known.refused(error)


async def _was_reading(outbox: Outbox, connect: Connect) -> bool:
    """A connector that was never allowed to run has read nothing that could be missing now."""
    state = await connect.state(outbox.connector)
    return state is not None and state.connector != "STOPPED"


async def _slot_anew(
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
        # One that fails for good is RUNNING for a moment after each restart: it is believed after its pause.
        return replace(known, connector_state=word)
    message = known.last_error if known.slot_lost else f"{outbox.table} is published to {outbox.topic_prefix}.*"
    reason = "SlotRecreated" if known.slot_lost else "Capturing"
    last_error = known.last_error if known.slot_lost else ""
    return replace(
        known,
        connector_state=word,
        ready=True,
        reason=reason,
        message=message,
        last_error=last_error,
        restarts=0,
        restart_at=0.0,
    )


async def _restarted(state: ConnectorState, outbox: Outbox, connect: Connect, known: OutboxStatus) -> OutboxStatus:
    now = time.time()
    if now >= known.restart_at:
        await connect.restart_failed(outbox.connector)
        known = replace(known, restarts=known.restarts + 1, restart_at=now + restart_pause(known.restarts))
    message = (
        f"connector {outbox.connector} failed ({state.trace or 'no trace'}); restart {known.restarts} is under way"
    )
    last_error = known.last_error if known.slot_lost else message
    return replace(
        known,
        connector_state="FAILED",
        ready=False,
        reason="ConnectorFailed",
        message=message,
        last_error=last_error,
    )
